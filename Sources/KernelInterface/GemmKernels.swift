/// Products `C[M,N] (+)= A[M,K] · B[K,N]` on packed operands.
///
/// Packed A: row tiles of `tileRows` rows, each `[k][tileRows]`, the last tile padded with zero rows.
/// Packed B: column panels of `panelWidth` columns, each `[k][panelWidth]`, the last panel padded with zero columns.
public struct GemmKernels: Sendable {
    /// Rows of C that the micro-kernel keeps in registers.
    public let tileRows: Int
    /// Columns of C that the micro-kernel keeps in registers: two vectors.
    public let panelWidth: Int

    public typealias Multiply = @Sendable (
        _ packedA: UnsafePointer<Float>, _ rows: Int, _ depth: Int, _ panel: UnsafePointer<Float>, _ columns: Int,
        _ c: UnsafeMutablePointer<Float>, _ cStride: Int, _ accumulate: Bool
    ) -> Void

    /// `C[0..<rows, 0..<columns] (+)= A · panel`, with A packed in tiles of `depth` and one panel of B.
    /// C is row-major with `cStride` floats between rows; overwritten when `accumulate` is false (then never read).
    /// `1 ≤ columns ≤ panelWidth`; columns beyond it are not written. No aliasing. The sum over k runs in order, one
    /// fused multiply-add a term, so an element's bits do not depend on where it lies in a tile.
    public let multiply: Multiply

    public typealias PackRows = @Sendable (
        _ a: UnsafePointer<Float>, _ offsets: UnsafePointer<Int>, _ rows: Int, _ depth: Int,
        _ packed: UnsafeMutablePointer<Float>, _ tileStride: Int
    ) -> Void

    /// Packs `depth` floats from each `a + offsets[row]` (a negative offset is a row of zeros: convolution's padding)
    /// into row tiles that start `tileStride` floats apart. Writes `tileRows · depth` floats a tile, zero rows
    /// included, and nothing beyond. Several calls may fill consecutive ranges of k of the same tiles.
    public let packRows: PackRows

    public typealias Prefetch = @Sendable (_ address: UnsafeRawPointer, _ byteCount: Int) -> Void

    /// A hint that the bytes will be read soon. Reads nothing; the address may be any.
    public let prefetch: Prefetch

    public typealias Widen = @Sendable (
        _ half: UnsafePointer<UInt16>, _ count: Int, _ out: UnsafeMutablePointer<Float>
    ) -> Void

    /// `out[i] = half[i]`, IEEE half precision to float32, exactly.
    public let widen: Widen

    public typealias TransposePanel = @Sendable (
        _ source: UnsafePointer<Float>, _ rows: Int, _ out: UnsafeMutablePointer<Float>
    ) -> Void
    public typealias TransposePanelHalf = @Sendable (
        _ source: UnsafePointer<UInt16>, _ rows: Int, _ out: UnsafeMutablePointer<Float>
    ) -> Void

    /// `out[j][i] = source[i][j]` for the square `[panelWidth][panelWidth]`; rows `rows...` of the source are not
    /// read and give zeros. No aliasing.
    public let transposePanel: TransposePanel
    /// The same from half precision.
    public let transposePanelHalf: TransposePanelHalf

    public typealias WriteRows = @Sendable (
        _ sums: UnsafePointer<Float>, _ panelStride: Int, _ rows: Int, _ columns: Int, _ bias: UnsafePointer<Float>?,
        _ secondBias: UnsafePointer<Float>?, _ other: UnsafePointer<Float>?, _ y: UnsafeMutablePointer<Float>,
        _ stride: Int
    ) -> Void

    /// `y[r, j] = ((sums[j / panelWidth][r][j % panelWidth] + other[r, j]) + bias[j]) + secondBias[j]`, panels of sums
    /// `panelStride` apart, rows of y and other `stride` apart; each addend may be nil. Reads whole vectors of sums.
    public let writeRows: WriteRows

    public typealias WriteGated = @Sendable (
        _ sums: UnsafePointer<Float>, _ panelStride: Int, _ rows: Int, _ columns: Int, _ bias: UnsafePointer<Float>?,
        _ gateBias: UnsafePointer<Float>?, _ y: UnsafeMutablePointer<Float>, _ stride: Int,
        _ projected: UnsafeMutablePointer<Float>?
    ) -> Void

    /// `y[r, j] = value · geluErf(gate)` for `columns` (whole panels) columns, where value and gate are sums with their
    /// bias, the panels of gates after those of values; rows of y are `stride` apart. Unless `projected` is nil, value goes
    /// to `projected[2·stride·r + j]` and gate `stride` after it.
    public let writeGated: WriteGated

    public init(
        tileRows: Int, panelWidth: Int, multiply: @escaping Multiply, packRows: @escaping PackRows,
        prefetch: @escaping Prefetch, widen: @escaping Widen, transposePanel: @escaping TransposePanel,
        transposePanelHalf: @escaping TransposePanelHalf, writeRows: @escaping WriteRows,
        writeGated: @escaping WriteGated
    ) {
        self.tileRows = tileRows
        self.panelWidth = panelWidth
        self.multiply = multiply
        self.packRows = packRows
        self.prefetch = prefetch
        self.widen = widen
        self.transposePanel = transposePanel
        self.transposePanelHalf = transposePanelHalf
        self.writeRows = writeRows
        self.writeGated = writeGated
    }
}
