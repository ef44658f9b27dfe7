import Tensors

/// Damps a gradient's high frequencies: its 2-D Fourier transform, per channel, times 1/(1 + r), r being the distance
/// from zero frequency in index units on the H×W grid centred at (H//2, W//2). The result is rescaled to the
/// gradient's own deviation: × std(g) / (std(filtered) + 1e-8), sample deviations over everything passed in.
package struct SpectralFilter: Sendable {
    private let height: Int
    private let width: Int
    private let rows: FourierTransform
    private let columns: FourierTransform
    /// `[H, W]`, zero frequency first; 1/(H·W) of the inverse transform included.
    private let gains: [Double]

    package init(height: Int, width: Int) {
        self.height = height
        self.width = width
        rows = FourierTransform(count: width)
        columns = FourierTransform(count: height)
        let size = Double(height * width)
        gains = (0..<height * width).map { i in
            let y = Double(Self.frequency(i / width, of: height))
            let x = Double(Self.frequency(i % width, of: width))
            return 1 / (1 + (y * y + x * x).squareRoot()) / size
        }
    }

    /// Index −(n//2) … of place `k` after the inverse shift.
    private static func frequency(_ k: Int, of n: Int) -> Int { k < n - n / 2 ? k : k - n }

    /// - Parameter gradient: `[B, C, H, W]`; its statistics are those of the whole tensor.
    package func callAsFunction(_ gradient: Tensor) -> Tensor {
        precondition(
            gradient.shape.count == 4 && gradient.shape[2...] == [height, width],
            "spectral filter of \(height)×\(width) got \(gradient.shape)")
        let result = Tensor(gradient.shape)
        let (planes, size) = (gradient.shape[0] * gradient.shape[1], height * width)
        for plane in stride(from: 0, to: planes, by: 2) {
            filter(gradient.pointer + plane * size, result.pointer + plane * size, pair: plane + 1 < planes)
        }
        let scale = gradient.deviation / (result.deviation + 1e-8)
        for i in 0..<result.count { result.pointer[i] = Float(Double(result.pointer[i]) * scale) }
        return result
    }

    /// Filters one plane, or two that lie one after the other: as real and imaginary part. The gains are real and the
    /// same at k and −k, so what was real stays real and the two do not mix.
    private func filter(_ source: UnsafePointer<Float>, _ target: UnsafeMutablePointer<Float>, pair: Bool) {
        let size = height * width
        withUnsafeTemporaryAllocation(of: FourierTransform.Complex.self, capacity: size) { buffer in
            guard let plane = buffer.baseAddress else { return }
            for i in 0..<size { plane[i] = [Double(source[i]), pair ? Double(source[size + i]) : 0] }
            transform(plane, inverse: false)
            for i in 0..<size { plane[i] *= gains[i] }
            transform(plane, inverse: true)
            for i in 0..<size {
                target[i] = Float(plane[i].x)
                if pair { target[size + i] = Float(plane[i].y) }
            }
        }
    }

    private func transform(_ plane: UnsafeMutablePointer<FourierTransform.Complex>, inverse: Bool) {
        for y in 0..<height { rows.transform(plane + y * width, stride: 1, inverse: inverse) }
        for x in 0..<width { columns.transform(plane + x, stride: width, inverse: inverse) }
    }
}
