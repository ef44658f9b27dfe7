import Ops
import Tensors

/// Finds what may be among the largest activations from a product in bfloat16, so that float32 decides among few.
///
/// A token a and an encoder row w that rounding moves by δa and δw have a product of rounded operands that is off their
/// float32 product by at most
///
///     Σ|δaᵢ wᵢ| + Σ|(aᵢ + δaᵢ) δwᵢ| + rounding of D sums ≤ (‖δa‖ + D·2⁻²² ‖a‖) · ‖w‖ + (1 + 2⁻⁸) ‖a‖ · ‖δw‖
///
/// about 3e-3 · ‖a‖ · ‖w‖. These are two more terms of the product: rows end in the norms of the token, columns in those of
/// the feature, all rounded up. With it the tile holds upper bounds: an activation whose bound does not pass is not selected
/// by its float32 value either. Those that pass are multiplied again in float32, and these values are compared, kept and
/// trained on. So rounding decides nothing (numbers below the least normal one aside, which become zero).
struct Screen {
    private let autoencoder: SparseAutoencoder
    private let engine: Engine
    private let norms: Tensor
    private let packedNorms: Tensor
    private let operands: Operands

    /// - Parameter rows: tokens of a block at most.
    init(_ autoencoder: SparseAutoencoder, rows: Int, engine: Engine) {
        (self.autoencoder, self.engine) = (autoencoder, engine)
        norms = Tensor([rows, 2], in: engine.workspace)
        operands = engine.operands
        packedNorms = Tensor([operands.paddedRows(rows), operands.words(2)], in: engine.workspace)
    }

    /// More than a number and the sums under its root lose when bfloat16 rounds it.
    private static let roundingUp: Float = 1 + 0x1p-7

    /// ‖v‖ and ‖δv‖ of a vector, rounded up.
    static func norms(_ vector: UnsafePointer<Float>, _ depth: Int, _ engine: Engine) -> (of: Float, lost: Float) {
        let kernels = engine.kernels
        return (
            roundingUp * kernels.sparse.dot(vector, vector, depth).squareRoot(),
            roundingUp * kernels.bfloat16.errorSquares(vector, depth).squareRoot()
        )
    }

    /// What stands after the block's rows.
    func pack(_ centered: Tensor, _ rows: Range<Int>) {
        let depth = centered.channels
        for (index, row) in rows.enumerated() {
            let token = Self.norms(centered.pointer + row * depth, depth, engine)
            norms.pointer[2 * index] = token.lost + Float(depth) * 0x1p-22 * token.of
            norms.pointer[2 * index + 1] = (1 + 0x1p-7) * token.of
        }
        operands.packRows(
            norms.pointer, (0..<rows.count).map { 2 * $0 }, rows.count, 2, packedNorms.pointer,
            operands.tileRows * operands.words(2))
    }

    /// Makes a tile of products one of upper bounds. `columnNorms` ends the panel.
    func raise(_ tile: UnsafeMutablePointer<Float>, _ rows: Int, _ columnNorms: UnsafePointer<Float>) {
        let width = engine.kernels.gemm.panelWidth
        operands.multiply(packedNorms.pointer, rows, operands.words(2), columnNorms, width, tile, width, true)
    }

    /// Of keys of upper bounds, those whose float32 value exceeds `bound`, with this value; returns their number.
    func settle(_ keys: UnsafeMutablePointer<UInt64>, _ count: Int, above bound: UInt64, _ centered: Tensor) -> Int {
        let (depth, latents) = (autoencoder.inputWidth, UInt32(autoencoder.numLatents))
        var kept = 0
        for candidate in 0..<count {
            let index = ~UInt32(truncatingIfNeeded: keys[candidate])
            let (token, feature) = index.quotientAndRemainder(dividingBy: latents)
            let product = engine.kernels.sparse.dot(
                centered.pointer + Int(token) * depth, autoencoder.encoderWeight.pointer + Int(feature) * depth, depth)
            let value = max(product + autoencoder.encoderBias.pointer[Int(feature)], 0)
            let key = UInt64(value.bitPattern) << 32 | UInt64(~index)
            keys[kept] = key
            kept += key > bound ? 1 : 0
        }
        return kept
    }
}
