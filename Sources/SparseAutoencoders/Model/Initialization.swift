import Ops
import Tensors

extension SparseAutoencoder {
    /// A start for training: `W_enc` uniform on ±1/√D (as torch's Linear), `b_enc = 0`, `W_dec` its copy with rows
    /// of norm 1, `b_dec` the geometric median of `firstBatch [n, D]`; JumpReLU thresholds at 0.001.
    public init(configuration: SAEConfiguration, firstBatch: Tensor, seed: UInt64, engine: Engine) {
        let (d, l) = (configuration.inputWidth, configuration.numLatents)
        let random = CounterRandom(seed: seed, purpose: .initialization)
        let bound = 1 / Float(d).squareRoot()
        let encoder = Tensor([l, d])
        engine.threads.forRanges(l, grain: 64) { rows, _ in
            for i in rows.lowerBound * d..<rows.upperBound * d {
                encoder.pointer[i] = random.uniform(i, in: -bound...bound)
            }
        }
        let tokens = configuration.inputUnitNorm ? UnitNorm.forward(firstBatch, engine: engine) : firstBatch
        self.init(
            configuration: configuration, encoderWeight: encoder, encoderBias: Tensor.zeros([l]),
            decoderWeight: encoder.copy(), decoderBias: geometricMedian(tokens, engine: engine),
            threshold: configuration.rule == .jumpReLU ? Tensor([l], [Float](repeating: 0.001, count: l)) : nil)
        normalizeDecoder(engine: engine)
    }
}

/// The point with the least sum of distances to the rows of `x [n, D]`: Weiszfeld's iteration from the mean, at most
/// 100 rounds, until the point moves by less than 1e-5.
func geometricMedian(_ x: Tensor, engine: Engine) -> Tensor {
    let (rows, width) = (x.rows, x.channels)
    var point = Tensor([width], columnSums(x, engine: engine).map { Float($0 / Double(rows)) })
    let weights = Scratch<Float>(rows, engine)
    let scratch = Tensor([engine.threads.count, width], in: engine.workspace)
    for _ in 0..<100 {
        let center = point
        engine.threads.forRanges(rows, grain: 64) { range, worker in
            for row in range {
                let squares = engine.kernels.sparse.combine(
                    x.pointer + row * width, 1, center.pointer, -1, width, scratch.pointer + worker * width)
                weights.pointer[row] = 1 / max(squares.squareRoot(), 1e-12)
            }
        }
        let total = (0..<rows).reduce(0.0) { $0 + Double(weights.pointer[$1]) }
        let sums = weightedSum(x, weights.pointer, engine: engine)
        point = Tensor([width], sums.map { Float($0 / total) })
        let moved = zip(point.array, center.array).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
        if moved.squareRoot() < 1e-5 { break }
    }
    return point
}
