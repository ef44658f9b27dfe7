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
    /// `1 ≤ columns ≤ panelWidth`; columns beyond it are not written. No aliasing.
    public let multiply: Multiply

    public typealias PackRows = @Sendable (
        _ a: UnsafePointer<Float>, _ aStride: Int, _ rows: Int, _ depth: Int, _ packed: UnsafeMutablePointer<Float>
    ) -> Void

    /// Packs row-major `A[rows, depth]` (rows `aStride` floats apart) into row tiles. Writes
    /// `⌈rows/tileRows⌉·tileRows·depth` floats.
    public let packRows: PackRows

    public init(
        tileRows: Int, panelWidth: Int, multiply: @escaping Multiply, packRows: @escaping PackRows
    ) {
        self.tileRows = tileRows
        self.panelWidth = panelWidth
        self.multiply = multiply
        self.packRows = packRows
    }
}
