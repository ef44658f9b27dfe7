import Ops
import Tensors

/// A block of tokens as the register tile reads it, rounded as its operands are: `[depth block][row tile][word][row]`.
struct TokenBlock {
    /// Words of depth that are multiplied at once: so much of a panel stays in the first cache while the row tiles go past.
    /// A multiple of every operands' depth block.
    static let depthBlock = 320

    let operands: Operands
    private let depth: Int
    private let rows: Int
    private let packed: Tensor
    private let engine: Engine

    /// - Parameter rows: of the block at most.
    init(depth: Int, rows: Int, precision: Precision, engine: Engine) {
        operands = Operands(precision, engine.kernels)
        (self.depth, self.rows, self.engine) = (depth, operands.paddedRows(rows), engine)
        packed = Tensor([self.rows, operands.words(depth)], in: engine.workspace)
    }

    func pack(_ centered: Tensor, _ rows: Range<Int>) {
        let (terms, step) = (depth, Self.depthBlock * operands.termsPerWord)
        for start in stride(from: 0, to: terms, by: step) {
            let count = min(step, terms - start)
            operands.packRows(
                centered.pointer, rows.map { $0 * terms + start }, rows.count, count,
                packed.pointer + start / operands.termsPerWord * self.rows,
                operands.tileRows * operands.words(count))
        }
    }

    /// `tile [rows, panelWidth]` = the first rows of the block times a panel `[word][panelWidth]`.
    func multiply(_ rows: Int, _ panel: UnsafePointer<Float>, into tile: UnsafeMutablePointer<Float>) {
        let (words, width) = (operands.words(depth), engine.kernels.gemm.panelWidth)
        for start in stride(from: 0, to: words, by: Self.depthBlock) {
            operands.multiply(
                packed.pointer + start * self.rows, rows, min(Self.depthBlock, words - start), panel + start * width,
                width, tile, width, start > 0)
        }
    }
}
