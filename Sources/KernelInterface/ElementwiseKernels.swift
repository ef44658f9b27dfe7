/// Functions of single elements over contiguous runs of floats.
///
/// Every kernel reads and writes exactly `count` elements, overwrites its output, needs no alignment, and may be given
/// an output that is one of its inputs (same address; no other overlap). A NaN element gives NaN.
public struct ElementwiseKernels: Sendable {
    public typealias Unary = @Sendable (
        _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ count: Int
    ) -> Void
    public typealias Binary = @Sendable (
        _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ count: Int
    ) -> Void
    public typealias Scale = @Sendable (
        _ factor: Float, _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ count: Int
    ) -> Void
    public typealias Rows = @Sendable (
        _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ rows: Int, _ width: Int
    ) -> Void
    public typealias RowsBackward = @Sendable (
        _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ dx: UnsafeMutablePointer<Float>, _ rows: Int,
        _ width: Int
    ) -> Void

    /// `y = a + b`.
    public let add: Binary
    /// `y = factor · x`.
    public let scale: Scale
    /// `y = x · σ(x)`; relative error at most 6 ulp for x ≥ −87.
    public let silu: Unary
    /// `dx = dy · silu′(x)`, called with `(dy, x, dx, count)`.
    public let siluBackward: Binary
    /// `y = x · Φ(x)` with the exact normal distribution (erf, not tanh); error at most 1.2e-7·|x| + 1 ulp.
    public let geluErf: Unary
    /// `dx = dy · geluErf′(x)`, called with `(dy, x, dx, count)`.
    public let geluErfBackward: Binary
    /// `y = x · σ(1.702 x)`.
    public let geluQuick: Unary
    /// `dx = dy · geluQuick′(x)`, called with `(dy, x, dx, count)`.
    public let geluQuickBackward: Binary
    /// `y[r, i] = x[r, i] · geluErf(x[r, width + i])`; x has rows of 2·width, y rows of width. No aliasing.
    public let geglu: Rows
    /// With `g = x[r, width + i]`: `dx[r, i] = dy[r, i] · geluErf(g)` and
    /// `dx[r, width + i] = dy[r, i] · x[r, i] · geluErf′(g)`; dx may be x.
    public let gegluBackward: RowsBackward

    public init(
        add: @escaping Binary, scale: @escaping Scale,
        silu: @escaping Unary, siluBackward: @escaping Binary,
        geluErf: @escaping Unary, geluErfBackward: @escaping Binary,
        geluQuick: @escaping Unary, geluQuickBackward: @escaping Binary,
        geglu: @escaping Rows, gegluBackward: @escaping RowsBackward
    ) {
        self.add = add
        self.scale = scale
        self.silu = silu
        self.siluBackward = siluBackward
        self.geluErf = geluErf
        self.geluErfBackward = geluErfBackward
        self.geluQuick = geluQuick
        self.geluQuickBackward = geluQuickBackward
        self.geglu = geglu
        self.gegluBackward = gegluBackward
    }
}
