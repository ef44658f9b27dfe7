import Tensors

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Blurs maps with a Gaussian of nine points, exp(−x²/2σ²) on integer offsets, normalised; edges are mirrored without
/// repeating the edge itself (torch's `reflect`).
package enum GaussianSmoothing {
    package static let radius = 4

    /// - Parameter maps: `[B, C, H, W]`.
    package static func apply(_ maps: Tensor, sigma: Double) -> Tensor {
        let weights = (-radius...radius).map { exp(-Double($0 * $0) / (2 * sigma * sigma)) }
        let total = weights.reduce(0, +)
        let kernel = weights.map { $0 / total }
        let (height, width) = (maps.shape[2], maps.shape[3])
        let result = Tensor(maps.shape)
        var across = [Double](repeating: 0, count: height * width)
        for plane in 0..<maps.shape[0] * maps.shape[1] {
            let source = maps.pointer + plane * height * width
            let target = result.pointer + plane * height * width
            for i in 0..<height * width {
                let (y, x) = (i / width, i % width)
                across[i] = sum(kernel) { Double(source[y * width + mirrored(x + $0, width)]) }
            }
            for i in 0..<height * width {
                let (y, x) = (i / width, i % width)
                target[i] = Float(sum(kernel) { across[mirrored(y + $0, height) * width + x] })
            }
        }
        return result
    }

    /// The σ of a step: from `start` to `end` in a straight line over the run.
    package static func sigma(step: Int, of steps: Int, from start: Double, to end: Double) -> Double {
        start + Double(step) / Double(max(steps - 1, 1)) * (end - start)
    }

    private static func sum(_ kernel: [Double], _ value: (Int) -> Double) -> Double {
        var sum = 0.0
        for offset in -radius...radius { sum += kernel[offset + radius] * value(offset) }
        return sum
    }

    /// Reflects `i` into 0..<n, as often as it takes where the map is smaller than the kernel.
    private static func mirrored(_ i: Int, _ n: Int) -> Int {
        if n == 1 { return 0 }
        let period = 2 * (n - 1)
        let place = ((i % period) + period) % period
        return place < n ? place : period - place
    }
}
