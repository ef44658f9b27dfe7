import Ops
import Tensors

/// Encoding and decoding without gradients.
extension SparseAutoencoder {
    /// The selected activations of `x [n, D]`. At inference BatchTopK and SampleTopK are plain TopK with the same k,
    /// as in the published code; `training` selects by the batch's own rule, with samples of `positions` tokens.
    public func encode(_ x: Tensor, training: Bool = false, positions: Int = 1, engine: Engine) -> SparseCodes {
        let k = configuration.rule.countsK ? configuration.k : numLatents
        var request = FusedSelection.Request(
            tokensPerGroup: 1, keep: k, positiveOnly: !configuration.rule.countsK)
        if training && configuration.rule == .batchTopK {
            request = .init(tokensPerGroup: x.rows, keep: k * x.rows)
        } else if training && configuration.rule == .sampleTopK {
            request = .init(tokensPerGroup: positions, keep: k)
        }
        let gate = threshold.map { threshold in { threshold.pointer[$0] } }
        let panels = EncoderPanels(self, dead: [], gate: gate, engine: engine)
        return FusedSelection(panels: panels, numLatents: numLatents, engine: engine)
            .run(centered(x, engine: engine), [request]).codes[0]
    }

    /// `x̂ [n, D]` from the activations of `x [n, D]`, on x's own scale.
    public func decode(_ codes: SparseCodes, of x: Tensor, engine: Engine) -> Tensor {
        precondition(codes.tokens == x.rows && codes.numLatents == numLatents, "codes of another input than \(x.shape)")
        let result = Tensor(x.shape, in: engine.workspace)
        let width = inputWidth
        engine.threads.forRanges(x.rows, grain: 16) { range, _ in
            for token in range {
                let (target, entries) = (result.pointer + token * width, codes.token(token))
                target.update(from: decoderBias.pointer, count: width)
                engine.kernels.sparse.sumRows(
                    codes.features.pointer + entries.lowerBound, codes.values.pointer + entries.lowerBound,
                    entries.count, decoderWeight.pointer, width, width, target, true)
            }
        }
        if configuration.inputUnitNorm { UnitNorm.inverse(result, of: x, engine: engine) }
        return result
    }
}

extension SparseCodes {
    /// Features and values of one token, features ascending.
    public func entries(of token: Int) -> [(feature: Int, value: Float)] {
        precondition((0..<tokens).contains(token), "token \(token) of \(tokens)")
        return self.token(token).map { (Int(features.pointer[$0]), values.pointer[$0]) }
    }
}

/// Every feature's pre-activation, with the encoder packed once for many calls.
public struct FeatureEncoder: Sendable {
    public let autoencoder: SparseAutoencoder
    private let encoder: Linear
    private let engine: Engine

    public init(_ autoencoder: SparseAutoencoder, engine: Engine) {
        self.autoencoder = autoencoder
        self.engine = engine
        encoder = Linear(
            weight: Weight(name: "encoder.weight", tensor: autoencoder.encoderWeight),
            bias: Weight(name: "encoder.bias", tensor: autoencoder.encoderBias), engine: engine)
    }

    /// `relu((x − b_dec) W_encᵀ + b_enc)` of `x [… , D]`, before any selection: `[… , L]`.
    public func preActivations(_ x: Tensor) -> Tensor {
        let result = encoder.forward(autoencoder.centered(x, engine: engine))
        engine.threads.forRanges(result.count, grain: 65536) { range, _ in
            for i in range { result.pointer[i] = max(result.pointer[i], 0) }
        }
        return result
    }
}
