// Layer normalization (`NormKernels.layer…`): a row at a time, which stays in the first-level cache between the passes.

/// `NormKernels.layer`. Variance from deviations: Σx² − n·mean² would cancel for large means.
func layerNorm(
    _ x: UnsafePointer<Float>, _ rows: Int, _ channels: Int, _ weight: UnsafePointer<Float>,
    _ bias: UnsafePointer<Float>, _ epsilon: Float, _ y: UnsafeMutablePointer<Float>,
    _ saved: UnsafeMutablePointer<Float>
) {
    let count = Float(channels)
    for row in 0..<rows {
        let (x, y) = (x + row * channels, y + row * channels)
        var sum = Vec.zero
        @inline(always) func total(_ c: Int, _ n: Int) { sum += x.vec(c, n) }
        forEachVector(channels, total)
        let estimate = horizontalSum(sum) / count
        var (deviation, square) = (Vec.zero, Vec.zero)
        @inline(always) func moments(_ c: Int, _ n: Int) {
            let d = (x.vec(c, n) - estimate).firstLanes(n)
            deviation += d
            square = multiplyAdd(d, d, square)
        }
        forEachVector(channels, moments)
        let correction = horizontalSum(deviation) / count
        let mean = estimate + correction
        let variance = horizontalSum(square) / count - correction * correction
        let inverse = 1 / ((variance < 0 ? 0 : variance) + epsilon).squareRoot()
        @inline(always) func normalize(_ c: Int, _ n: Int) {
            let normalized = (x.vec(c, n) - mean) * inverse
            y.store(multiplyAdd(normalized, weight.vec(c, n), bias.vec(c, n)), c, n)
        }
        forEachVector(channels, normalize)
        saved[2 * row] = mean
        saved[2 * row + 1] = inverse
    }
}

/// `NormKernels.layerBackward`.
func layerNormBackward(
    _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ rows: Int, _ channels: Int,
    _ weight: UnsafePointer<Float>, _ saved: UnsafePointer<Float>, _ base: UnsafePointer<Float>?,
    _ dx: UnsafeMutablePointer<Float>
) {
    let count = Float(channels)
    for row in 0..<rows {
        let (dy, x, dx) = (dy + row * channels, x + row * channels, dx + row * channels)
        let (mean, inverse) = (saved[2 * row], saved[2 * row + 1])
        var (sum, product) = (Vec.zero, Vec.zero)
        @inline(always) func sums(_ c: Int, _ n: Int) {
            let g = dy.vec(c, n) * weight.vec(c, n)
            sum += g
            product = multiplyAdd(g, (x.vec(c, n) - mean) * inverse, product)
        }
        forEachVector(channels, sums)
        let (meanGradient, meanProduct) = (horizontalSum(sum) / count, horizontalSum(product) / count)
        @inline(always) func gradient(_ c: Int, _ n: Int) -> Vec {
            let normalized = (x.vec(c, n) - mean) * inverse
            let centred = dy.vec(c, n) * weight.vec(c, n) - meanGradient - normalized * meanProduct
            return centred * inverse
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
