import Ops
import Tensors

extension SparseAutoencoder {
    /// A start for training: `W_enc` uniform on ±1/√D (as torch's Linear), `b_enc = 0`, `W_dec` its copy with rows
    /// of norm 1, `b_dec` the geometric median of `firstBatch [n, D]`; JumpReLU thresholds at 0.001.
    public convenience init(configuration: SAEConfiguration, firstBatch: Tensor, seed: UInt64, engine: Engine) {
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
