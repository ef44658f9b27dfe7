// Functions of single elements (`ElementwiseKernels`). Bound by memory: one read of each operand, one write.
import KernelInterface

func makeElementwiseKernels() -> ElementwiseKernels {
    ElementwiseKernels(
        add: { a, b, y, count in mapPairs(a, b, y, count) { $0 + $1 } },
        scale: { factor, x, y, count in map(x, y, count) { $0 * factor } },
        silu: { x, y, count in map(x, y, count) { $0 * sigmoid($0) } },
        siluBackward: { dy, x, dx, count in mapPairs(dy, x, dx, count) { $0 * siluDerivative($1) } },
        geluErf: { x, y, count in map(x, y, count) { $0 * normalDistribution($0).cumulative } },
        geluErfBackward: { dy, x, dx, count in mapPairs(dy, x, dx, count) { $0 * geluErfDerivative($1) } },
        geluQuick: { x, y, count in map(x, y, count) { $0 * sigmoid($0 * 1.702) } },
        geluQuickBackward: { dy, x, dx, count in mapPairs(dy, x, dx, count) { $0 * geluQuickDerivative($1) } },
        geglu: geglu, gegluBackward: gegluBackward)
}

@inline(__always) func map(
    _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ count: Int, _ function: (Vec) -> Vec
) {
    forEachVector(count) { i, width in y.store(function(x.vec(i, width)), i, width) }
}

@inline(__always) func mapPairs(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ count: Int,
    _ function: (Vec, Vec) -> Vec
) {
    forEachVector(count) { i, width in y.store(function(a.vec(i, width), b.vec(i, width)), i, width) }
}

/// `ElementwiseKernels.geglu`.
func geglu(_ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ rows: Int, _ width: Int) {
    for row in 0..<rows {
        let value = x + 2 * row * width
        mapPairs(value, value + width, y + row * width, width) { $0 * ($1 * normalDistribution($1).cumulative) }
    }
}

/// `ElementwiseKernels.gegluBackward`.
func gegluBackward(
    _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ dx: UnsafeMutablePointer<Float>, _ rows: Int, _ width: Int
) {
    for row in 0..<rows {
        let (dy, x, dx) = (dy + row * width, x + 2 * row * width, dx + 2 * row * width)
        forEachVector(width) { i, count in
            let (d, value, gate) = (dy.vec(i, count), x.vec(i, count), x.vec(width + i, count))
            let (cumulative, gaussian) = normalDistribution(gate)
            dx.store(d * (gate * cumulative), i, count)
            let slope = multiplyAdd(gate * 0.398942280, gaussian, cumulative)
            dx.store(d * value * slope, width + i, count)
        }
    }
}
