import KernelInterface

/// What the operands of a network's products are rounded to. Sums are float32 in either, as is everything that is no
/// product of a layer or of attention: norms, softmax, activations, residuals.
public enum Precision: String, Sendable, CaseIterable {
    /// IEEE single precision: nothing is rounded beside the sums themselves.
    case float32 = "f32"
    /// The upper half of a float32: 8 significant bits, its range of exponents. Operands of F(4×4) are scaled integers of 16
    /// bits instead (`IntegerWinogradKernels`).
    case bfloat16 = "bf16"

    /// Its name where results say how they were computed; nil for float32, in which they always were.
    package var recorded: String? { self == .float32 ? nil : rawValue }
}

extension Engine {
    /// How products in this engine's precision read their operands.
    package var operands: Operands { Operands(precision, kernels) }
}

/// How a product reads its operands: words of four bytes along k, a float32 or a pair of bfloat16 each. Memory for either
/// is handed about as memory for floats.
package struct Operands: Sendable {
    /// Terms of the sum in a word: 1 or 2.
    package let termsPerWord: Int
    /// Rows of a row tile.
    package let tileRows: Int
    /// Words of which every depth has a whole number.
    package let depthBlock: Int
    /// What `multiply` needs around it on its thread, for a stretch of many products.
    package let beginProducts: @Sendable () -> Void
    package let endProducts: @Sendable () -> Void
    /// `GemmKernels.multiply` with its depth in words.
    package let multiply: GemmKernels.Multiply
    /// `GemmKernels.packRows` with its depth in terms.
    package let packRows: GemmKernels.PackRows
    /// A panel `[depth][panelWidth]` of floats, as words; `depth` in terms.
    package let packPanel: @Sendable (
        _ source: UnsafePointer<Float>, _ depth: Int, _ out: UnsafeMutablePointer<Float>
    ) -> Void

    package init(_ precision: Precision, _ kernels: KernelTable) {
        switch precision {
        case .float32:
            let width = kernels.gemm.panelWidth
            (termsPerWord, tileRows, depthBlock) = (1, kernels.gemm.tileRows, 1)
            (beginProducts, endProducts) = ({}, {})
            (multiply, packRows) = (kernels.gemm.multiply, kernels.gemm.packRows)
            packPanel = { source, depth, out in out.update(from: source, count: depth * width) }
        case .bfloat16:
            let bfloat16 = kernels.bfloat16
            (termsPerWord, tileRows, depthBlock) = (2, bfloat16.tileRows, bfloat16.depthBlock)
            (beginProducts, endProducts) = (bfloat16.beginProducts, bfloat16.endProducts)
            multiply = { a, rows, words, panel, columns, c, stride, accumulate in
                bfloat16.multiply(a.words, rows, words, panel.words, columns, c, stride, accumulate)
            }
            packRows = { a, offsets, rows, depth, packed, tileStride in
                bfloat16.packRows(a, offsets, rows, depth, packed.words, tileStride)
            }
            packPanel = { source, depth, out in bfloat16.packPanel(source, depth, out.words) }
        }
    }

    /// Words that hold `terms` terms, in whole blocks.
    package func words(_ terms: Int) -> Int {
        let block = termsPerWord * depthBlock
        return (terms + block - 1) / block * depthBlock
    }

    /// Rows of whole row tiles that hold `rows`.
    package func paddedRows(_ rows: Int) -> Int { (rows + tileRows - 1) / tileRows * tileRows }
}

extension UnsafePointer<Float> {
    /// The same memory as words: pairs of bfloat16 or of 16-bit integers.
    var words: UnsafePointer<UInt32> { UnsafeRawPointer(self).assumingMemoryBound(to: UInt32.self) }
}

extension UnsafeMutablePointer<Float> {
    /// The same memory as words: pairs of bfloat16 or of 16-bit integers.
    var words: UnsafeMutablePointer<UInt32> { UnsafeMutableRawPointer(self).assumingMemoryBound(to: UInt32.self) }
}
