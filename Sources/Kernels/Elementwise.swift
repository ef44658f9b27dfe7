// Functions of single elements (`ElementwiseKernels`). Bound by memory: one read of each operand, one write.
import KernelInterface

func makeElementwiseKernels() -> ElementwiseKernels {
    ElementwiseKernels(
        add: { a, b, y, count in mapPairs(a, b, y, count, sum) },
        scale: { factor, x, y, count in
            @inline(always) func multiple(_ x: Vec) -> Vec { x * factor }
            map(x, y, count, multiple)
        },
        silu: { x, y, count in map(x, y, count, silu) },
        siluBackward: { dy, x, dx, count in mapPairs(dy, x, dx, count, siluGradient) },
        geluErf: { x, y, count in map(x, y, count, geluErf) },
        geluErfBackward: { dy, x, dx, count in mapPairs(dy, x, dx, count, geluErfGradient) },
        geluQuick: { x, y, count in map(x, y, count, geluQuick) },
        geluQuickBackward: { dy, x, dx, count in mapPairs(dy, x, dx, count, geluQuickGradient) },
        geglu: geglu, gegluBackward: gegluBackward)
}

// Named functions and not closures: only a named one can be marked to be inlined always, and these are called twice,
// for whole vectors and for the last part of one.
@inline(always) private func sum(_ a: Vec, _ b: Vec) -> Vec { a + b }
@inline(always) func geluErf(_ x: Vec) -> Vec { x * normalDistribution(x).cumulative }
@inline(always) private func geluQuick(_ x: Vec) -> Vec { x * sigmoid(x * 1.702) }
@inline(always) private func siluGradient(_ dy: Vec, _ x: Vec) -> Vec { dy * siluDerivative(x) }
@inline(always) private func geluErfGradient(_ dy: Vec, _ x: Vec) -> Vec { dy * geluErfDerivative(x) }
@inline(always) private func geluQuickGradient(_ dy: Vec, _ x: Vec) -> Vec { dy * geluQuickDerivative(x) }
@inline(always) private func gated(_ value: Vec, _ gate: Vec) -> Vec { value * geluErf(gate) }

@inline(always) func map(
    _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ count: Int, _ function: (Vec) -> Vec
) {
    @inline(always) func step(_ i: Int, _ width: Int) { y.store(function(x.vec(i, width)), i, width) }
    forEachVector(count, step)
}

@inline(always) func mapPairs(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ count: Int,
    _ function: (Vec, Vec) -> Vec
) {
    @inline(always) func step(_ i: Int, _ width: Int) {
        y.store(function(a.vec(i, width), b.vec(i, width)), i, width)
    }
    forEachVector(count, step)
}

/// `ElementwiseKernels.geglu`.
func geglu(_ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ rows: Int, _ width: Int) {
    for row in 0..<rows {
        let value = x + 2 * row * width
        mapPairs(value, value + width, y + row * width, width, gated)
    }
}

/// `ElementwiseKernels.gegluBackward`.
func gegluBackward(
    _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ dx: UnsafeMutablePointer<Float>, _ rows: Int, _ width: Int
) {
    for row in 0..<rows {
        let (dy, x, dx) = (dy + row * width, x + 2 * row * width, dx + 2 * row * width)
        @inline(always) func step(_ i: Int, _ count: Int) {
            let (d, value, gate) = (dy.vec(i, count), x.vec(i, count), x.vec(width + i, count))
            let (cumulative, gaussian) = normalDistribution(gate)
            dx.store(d * (gate * cumulative), i, count)
            let slope = multiplyAdd(gate * 0.398942280, gaussian, cumulative)
            dx.store(d * value * slope, width + i, count)
        }
        forEachVector(width, step)
    }
}
