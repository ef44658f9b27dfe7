// Group normalization (`NormKernels.group…`). Bound by memory: statistics read x once, normalizing reads and writes it
// once, each backward pass reads dy and x once. The SiLU variants recompute the logistic function in both backward
// passes: cheaper than writing its derivative to memory and reading it back.
import KernelInterface

func makeNormKernels() -> NormKernels {
    NormKernels(
        groupStatistics: groupStatistics,
        groupNormalize: { normalize($0, $1, $2, $3, $4, silu: false) },
        groupNormalizeSilu: { normalize($0, $1, $2, $3, $4, silu: true) },
        groupGradientSums: { gradientSums($0, $1, $2, $3, $4, $5, $6, $7, silu: false) },
        groupGradientSumsSilu: { gradientSums($0, $1, $2, $3, $4, $5, $6, $7, silu: true) },
        groupBackward: { groupBackward($0, $1, $2, $3, $4, $5, $6, silu: false) },
        groupBackwardSilu: { groupBackward($0, $1, $2, $3, $4, $5, $6, silu: true) },
        layer: layerNorm, layerBackward: layerNormBackward)
}

/// `NormKernels.groupStatistics`.
func groupStatistics(
    _ x: UnsafePointer<Float>, _ rows: Int, _ channels: Int, _ groups: Int, _ scratch: UnsafeMutablePointer<Float>,
    _ result: UnsafeMutablePointer<Float>
) {
    let (shift, sums, squares) = (scratch, scratch + channels, scratch + 2 * channels)
    let width = channels / groups
    for group in 0..<groups {
        var sum: Float = 0
        for c in 0..<width { sum += x[group * width + c] }
        for c in 0..<width { shift[group * width + c] = sum / Float(width) }
    }
    for i in 0..<2 * channels { sums[i] = 0 }
    var row = 0
    while row + 4 <= rows {
        let (x0, x1) = (x + row * channels, x + (row + 1) * channels)
        let (x2, x3) = (x1 + channels, x1 + 2 * channels)
        @inline(always) func step(_ c: Int, _ n: Int) {
            let a = shift.vec(c, n)
            let (d0, d1, d2, d3) = (x0.vec(c, n) - a, x1.vec(c, n) - a, x2.vec(c, n) - a, x3.vec(c, n) - a)
            sums.store(sums.vec(c, n) + ((d0 + d1) + (d2 + d3)), c, n)
            let even = multiplyAdd(d0, d0, d1 * d1)
            let odd = multiplyAdd(d2, d2, d3 * d3)
            squares.store(squares.vec(c, n) + (even + odd), c, n)
        }
        forEachVector(channels, step)
        row += 4
    }
    while row < rows {
        let x0 = x + row * channels
        @inline(always) func step(_ c: Int, _ n: Int) {
            let d = x0.vec(c, n) - shift.vec(c, n)
            sums.store(sums.vec(c, n) + d, c, n)
            squares.store(multiplyAdd(d, d, squares.vec(c, n)), c, n)
        }
        forEachVector(channels, step)
        row += 1
    }
    let count = Float(rows * width)
    for group in 0..<groups {
        let (sum, square) = groupSums(sums, squares, group * width, width)
        result[group] = shift[group * width] + sum / count
        let deviations = square - sum * (sum / count)
        result[groups + group] = deviations < 0 ? 0 : deviations
    }
}

@inline(always) func groupSums(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ start: Int, _ width: Int
) -> (Float, Float) {
    var (first, second): (Float, Float) = (0, 0)
    for c in start..<start + width {
        first += a[c]
        second += b[c]
    }
    return (first, second)
}

@inline(always) func normalize(
    _ x: UnsafePointer<Float>, _ rows: Int, _ channels: Int, _ coefficients: UnsafePointer<Float>,
    _ y: UnsafeMutablePointer<Float>, silu useSilu: Bool
) {
    for row in 0..<rows {
        let (x, y) = (x + row * channels, y + row * channels)
        @inline(always) func step(_ c: Int, _ n: Int) {
            let affine = multiplyAdd(x.vec(c, n), coefficients.vec(c, n), coefficients.vec(channels + c, n))
            y.store(useSilu ? silu(affine) : affine, c, n)
        }
        forEachVector(channels, step)
    }
}

/// x̂ and the gradient at x̂·weight + bias times the weight, of one vector.
@inline(always) func normalizedAndGradient(
    _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ coefficients: UnsafePointer<Float>, _ channels: Int,
    _ c: Int, _ n: Int, silu: Bool
) -> (Vec, Vec) {
    let normalized = multiplyAdd(x.vec(c, n), coefficients.vec(c, n), coefficients.vec(channels + c, n))
    let weight = coefficients.vec(2 * channels + c, n)
    let gradient = dy.vec(c, n) * weight
    if !silu { return (normalized, gradient) }
    let affine = multiplyAdd(normalized, weight, coefficients.vec(3 * channels + c, n))
    return (normalized, gradient * siluDerivative(affine))
}

@inline(always) func gradientSums(
    _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ rows: Int, _ channels: Int, _ groups: Int,
    _ coefficients: UnsafePointer<Float>, _ scratch: UnsafeMutablePointer<Float>,
    _ result: UnsafeMutablePointer<Float>, silu: Bool
) {
    let (sums, products) = (scratch, scratch + channels)
    for i in 0..<2 * channels { sums[i] = 0 }
    for row in 0..<rows {
        let (dy, x) = (dy + row * channels, x + row * channels)
        @inline(always) func step(_ c: Int, _ n: Int) {
            let (normalized, g) = normalizedAndGradient(dy, x, coefficients, channels, c, n, silu: silu)
            sums.store(sums.vec(c, n) + g, c, n)
            products.store(multiplyAdd(g, normalized, products.vec(c, n)), c, n)
        }
        forEachVector(channels, step)
    }
    let width = channels / groups
    for group in 0..<groups {
        (result[group], result[groups + group]) = groupSums(sums, products, group * width, width)
    }
}

@inline(always) func groupBackward(
    _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ rows: Int, _ channels: Int,
    _ coefficients: UnsafePointer<Float>, _ base: UnsafePointer<Float>?, _ dx: UnsafeMutablePointer<Float>, silu: Bool
) {
    for row in 0..<rows {
        let (dy, x, dx) = (dy + row * channels, x + row * channels, dx + row * channels)
        @inline(always) func gradient(_ c: Int, _ n: Int) -> Vec {
            let (normalized, g) = normalizedAndGradient(dy, x, coefficients, channels, c, n, silu: silu)
            let centred = g - multiplyAdd(
                normalized, coefficients.vec(5 * channels + c, n), coefficients.vec(4 * channels + c, n))
            return coefficients.vec(c, n) * centred
        }
        if let base {
            let base = base + row * channels
            @inline(always) func step(_ c: Int, _ n: Int) { dx.store(base.vec(c, n) + gradient(c, n), c, n) }
            forEachVector(channels, step)
        } else {
            @inline(always) func step(_ c: Int, _ n: Int) { dx.store(gradient(c, n), c, n) }
            forEachVector(channels, step)
        }
    }
}
