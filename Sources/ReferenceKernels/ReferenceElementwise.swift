// Twins of `ElementwiseKernels`.
import RealModule

extension Reference {
    /// Twin of `add`.
    public static func add<T: ReferenceScalar>(_ a: [T], _ b: [T]) -> [T] { zip(a, b).map { $0 + $1 } }

    /// Twin of `scale`.
    public static func scale<T: ReferenceScalar>(_ factor: T, _ x: [T]) -> [T] { x.map { factor * $0 } }

    /// σ(x) = 1/(1 + e^−x).
    public static func sigmoid<T: ReferenceScalar>(_ x: T) -> T { T.real(1) / (T.real(1) + T.exp(-x)) }

    /// Twin of `silu`.
    public static func silu<T: ReferenceScalar>(_ x: [T]) -> [T] { x.map { $0 * sigmoid($0) } }

    static func siluDerivative<T: ReferenceScalar>(_ x: T) -> T {
        let s = sigmoid(x)
        return s + x * s * (T.real(1) - s)
    }

    /// Twin of `siluBackward`.
    public static func siluBackward<T: ReferenceScalar>(_ dy: [T], _ x: [T]) -> [T] {
        zip(dy, x).map { $0 * siluDerivative($1) }
    }

    /// Normal distribution (1 + erf(x/√2))/2.
    public static func normalDistribution<T: ReferenceScalar>(_ x: T) -> T {
        (T.real(1) + erf(x * T.real(0.5.squareRoot()))) * T.real(0.5)
    }

    /// Twin of `geluErf`.
    public static func geluErf<T: ReferenceScalar>(_ x: [T]) -> [T] { x.map { $0 * normalDistribution($0) } }

    static func geluErfDerivative<T: ReferenceScalar>(_ x: T) -> T {
        let density = T.exp(-(x * x) * T.real(0.5)) * T.real(1 / (2 * Double.pi).squareRoot())
        return normalDistribution(x) + x * density
    }

    /// Twin of `geluErfBackward`.
    public static func geluErfBackward<T: ReferenceScalar>(_ dy: [T], _ x: [T]) -> [T] {
        zip(dy, x).map { $0 * geluErfDerivative($1) }
    }

    /// Twin of `geluQuick`.
    public static func geluQuick<T: ReferenceScalar>(_ x: [T]) -> [T] { x.map { $0 * sigmoid(T.real(1.702) * $0) } }

    /// Twin of `geluQuickBackward`.
    public static func geluQuickBackward<T: ReferenceScalar>(_ dy: [T], _ x: [T]) -> [T] {
        zip(dy, x).map { dy, x in
            let s = sigmoid(T.real(1.702) * x)
            return dy * (s + T.real(1.702) * x * s * (T.real(1) - s))
        }
    }

    /// Rows [value | gate] of 2·width.
    public static func geglu<T: ReferenceScalar>(_ x: [T], width: Int) -> [T] {
        (0..<x.count / 2).map { i in
            let at = i / width * 2 * width + i % width
            return x[at] * x[at + width] * normalDistribution(x[at + width])
        }
    }

    /// Twin of `gegluBackward`.
    public static func gegluBackward<T: ReferenceScalar>(_ dy: [T], _ x: [T], width: Int) -> [T] {
        var dx: [T] = zeros(x.count)
        for i in dy.indices {
            let at = i / width * 2 * width + i % width
            let gate = x[at + width]
            dx[at] = dy[i] * gate * normalDistribution(gate)
            dx[at + width] = dy[i] * x[at] * geluErfDerivative(gate)
        }
        return dx
    }

    /// `[rows, m]`, `[rows, n]` → `[rows, m + n]`.
    public static func concat<T: ReferenceScalar>(_ a: [T], _ b: [T], channels: (Int, Int)) -> [T] {
        zip(rows(a, channels.0), rows(b, channels.1)).flatMap { $0 + $1 }
    }

    /// `[B, h, w, C]` → `[B, H, W, C]`, row i from row floor(i·h/H) (for ratios that float32 represents).
    public static func upsampleNearest<T: ReferenceScalar>(_ x: [T], shape: [Int], to size: (Int, Int)) -> [T] {
        upsampleSources(shape, size).map { x[$0] }
    }

    /// The gradient of `upsampleNearest` at its input of that shape.
    public static func upsampleNearestBackward<T: ReferenceScalar>(
        _ dy: [T], shape: [Int], to size: (Int, Int)
    ) -> [T] {
        var dx: [T] = zeros(shape.reduce(1, *))
        for (i, source) in upsampleSources(shape, size).enumerated() { dx[source] += dy[i] }
        return dx
    }

    private static func upsampleSources(_ shape: [Int], _ size: (Int, Int)) -> [Int] {
        var sources: [Int] = []
        for b in 0..<shape[0] {
            for row in 0..<size.0 {
                for column in 0..<size.1 {
                    let line = b * shape[1] + row * shape[1] / size.0
                    let pixel = line * shape[2] + column * shape[2] / size.1
                    sources += (0..<shape[3]).map { pixel * shape[3] + $0 }
                }
            }
        }
        return sources
    }
}
