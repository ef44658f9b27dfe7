/// Products `C[M,N] (+)= A[M,K] · B[K,N]` of operands rounded to bfloat16, summed in float32.
///
/// bfloat16 is the upper half of a float32. Rounding is to the nearest, ties to even; what is less than the least normal
/// number becomes zero. Packed operands are as those of `GemmKernels`, but of words: a word is the pair of terms k = 2p
/// (low half) and 2p + 1 (high half). Row tiles are `[pair / depthBlock][tileRows][pair % depthBlock]`, panels
/// `[pair][panelWidth]`. Both have `pairs(depth)` pairs; what lies beyond `depth` in them is zero.
public struct BFloat16Kernels: Sendable {
    /// Rows of a row tile.
    public let tileRows: Int
    /// Pairs of one row that lie side by side in a row tile, and of which every depth has a whole number.
    public let depthBlock: Int
    /// Whether the CPU's own instructions are used; otherwise other instructions give the same roundings of the operands,
    /// more slowly than float32 products.
    public let isNative: Bool

    public typealias Multiply = @Sendable (
        _ packedA: UnsafePointer<UInt32>, _ rows: Int, _ pairs: Int, _ panel: UnsafePointer<UInt32>, _ columns: Int,
        _ c: UnsafeMutablePointer<Float>, _ cStride: Int, _ accumulate: Bool
    ) -> Void

    /// Products that take the time of one in float32, at the instructions' peak: what the choice of an algorithm goes by.
    public let speedup: Int

    /// Prepares the calling thread for `multiply`, or puts it back into its usual state. `multiply` may only run between the
    /// two, on the same thread; they do not nest. For a stretch of many products, not for each.
    public let beginProducts: @Sendable () -> Void
    public let endProducts: @Sendable () -> Void

    /// `GemmKernels.multiply` of pairs. The sum over blocks of `depthBlock` pairs runs in order. A block of one pair adds its
    /// high product, then its low one, to the sum; one of two (BFMMLA) each pair's products to each other, then to the sum; a
    /// longer one (AMX) is summed by itself first. What an instruction rounds in between differs from vendor to vendor.
    public let multiply: Multiply

    public typealias PackRows = @Sendable (
        _ a: UnsafePointer<Float>, _ offsets: UnsafePointer<Int>, _ rows: Int, _ depth: Int,
        _ packed: UnsafeMutablePointer<UInt32>, _ tileStride: Int
    ) -> Void

    /// `GemmKernels.packRows` with rounding: `depth` floats of each row as `pairs(depth)` words, tiles `tileStride` words
    /// apart. Ranges of k that several calls fill start at multiples of `depthBlock` pairs.
    public let packRows: PackRows

    public typealias PackPanel = @Sendable (
        _ source: UnsafePointer<Float>, _ depth: Int, _ out: UnsafeMutablePointer<UInt32>
    ) -> Void

    /// A panel `[depth][panelWidth]` of floats, rounded, as `pairs(depth)` rows of words. No aliasing.
    public let packPanel: PackPanel

    public typealias TransposePanel = @Sendable (
        _ source: UnsafePointer<UInt32>, _ rows: Int, _ out: UnsafeMutablePointer<UInt32>
    ) -> Void

    /// The square of panelWidth × panelWidth numbers transposed, words pairing the other axis: number (i, j) of
    /// `source[i/2][j]`, half i mod 2, becomes half j mod 2 of `out[j/2][i]`. Words that hold only numbers i ≥ `rows` are not
    /// read and give zeros. No aliasing.
    public let transposePanel: TransposePanel

    public typealias ErrorSquares = @Sendable (_ a: UnsafePointer<Float>, _ count: Int) -> Float

    /// `Σ (a[i] − a[i] rounded)²`: the square of what rounding moves a vector by.
    public let errorSquares: ErrorSquares

    public init(
        tileRows: Int, depthBlock: Int, isNative: Bool, speedup: Int,
        beginProducts: @escaping @Sendable () -> Void, endProducts: @escaping @Sendable () -> Void,
        multiply: @escaping Multiply, packRows: @escaping PackRows, packPanel: @escaping PackPanel,
        transposePanel: @escaping TransposePanel, errorSquares: @escaping ErrorSquares
    ) {
        self.tileRows = tileRows
        self.depthBlock = depthBlock
        self.isNative = isNative
        self.speedup = speedup
        self.beginProducts = beginProducts
        self.endProducts = endProducts
        self.multiply = multiply
        self.packRows = packRows
        self.packPanel = packPanel
        self.transposePanel = transposePanel
        self.errorSquares = errorSquares
    }

    /// Pairs that hold `depth` terms in whole blocks.
    public func pairs(_ depth: Int) -> Int { (depth + 2 * depthBlock - 1) / (2 * depthBlock) * depthBlock }
}
