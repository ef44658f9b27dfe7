import Ops
import Tensors

/// `y = (x − μ) / (s + 1e-5)` per token: μ the mean over channels, s the unbiased standard deviation (n − 1).
public enum UnitNorm {
    static let epsilon: Float = 1e-5

    /// Mean and deviation of one token, summed in double precision.
    public static func statistics(_ row: UnsafePointer<Float>, _ width: Int) -> (mean: Float, deviation: Float) {
        var sum = 0.0
        for i in 0..<width { sum += Double(row[i]) }
        let mean = sum / Double(width)
        var squares = 0.0
        for i in 0..<width { squares += (Double(row[i]) - mean) * (Double(row[i]) - mean) }
        return (Float(mean), Float((squares / Double(width - 1)).squareRoot()))
    }

    /// y of every row of `x [… , D]`.
    public static func forward(_ x: Tensor, engine: Engine) -> Tensor {
        let y = Tensor(x.shape, in: engine.workspace)
        let width = x.channels
        engine.threads.forRanges(x.rows, grain: 64) { rows, _ in
            for row in rows {
                let (source, target) = (x.pointer + row * width, y.pointer + row * width)
                let (mean, deviation) = statistics(source, width)
                for i in 0..<width { target[i] = (source[i] - mean) / (deviation + epsilon) }
            }
        }
        return y
    }

    /// `ŷ · s + μ` in place, with the statistics of `x`: a reconstruction brought back to the layer's own scale
    /// (the published code multiplies by s, not by s + 1e-5).
    public static func inverse(_ reconstruction: Tensor, of x: Tensor, engine: Engine) {
        let width = x.channels
        engine.threads.forRanges(x.rows, grain: 64) { rows, _ in
            for row in rows {
                let target = reconstruction.pointer + row * width
                let (mean, deviation) = statistics(x.pointer + row * width, width)
                for i in 0..<width { target[i] = target[i] * deviation + mean }
            }
        }
    }

    /// With c = x − μ and r = 1/(s + ε): `dx = r·(dy − mean(dy) − c · r · Σ(dy·c) / ((n − 1)·s))`.
    /// The mean of c is 0, so the second term needs no centring of its own. A token without variation has s = 0:
    /// its last term is left out.
    public static func backwardInput(_ dy: Tensor, x: Tensor, engine: Engine) -> Tensor {
        precondition(dy.count == x.count, "gradient \(dy.shape) of \(x.shape)")
        let dx = Tensor(x.shape, in: engine.workspace)
        let width = x.channels
        engine.threads.forRanges(x.rows, grain: 64) { rows, _ in
            for row in rows {
                let (source, slope) = (x.pointer + row * width, dy.pointer + row * width)
                let target = dx.pointer + row * width
                let (mean, deviation) = statistics(source, width)
                let scale = 1 / (deviation + epsilon)
                var (sum, product) = (0.0, 0.0)
                for i in 0..<width {
                    sum += Double(slope[i])
                    product += Double(slope[i]) * Double(source[i] - mean)
                }
                let average = Float(sum / Double(width))
                let spread = deviation > 0 ? Float(product) * scale / (Float(width - 1) * deviation) : 0
                for i in 0..<width { target[i] = scale * (slope[i] - average - (source[i] - mean) * spread) }
            }
        }
        return dx
    }
}
