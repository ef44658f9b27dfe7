import Ops
import Tensors

/// Encoding and decoding without gradients.
extension SparseAutoencoder {
    /// The selected activations of `x [n, D]`. At inference BatchTopK and SampleTopK are plain TopK with the same k,
    /// as in the published code; `training` selects by the batch's own rule, with samples of `positions` tokens.
    public func encode(_ x: Tensor, training: Bool = false, positions: Int = 1, engine: Engine) -> SparseCodes {
        let k = configuration.rule.countsK ? configuration.k : numLatents
        var request = SelectionRequest(
            tokensPerGroup: 1, keep: k, positiveOnly: !configuration.rule.countsK)
        if training && configuration.rule == .batchTopK {
            request = .init(tokensPerGroup: x.rows, keep: k * x.rows)
        } else if training && configuration.rule == .sampleTopK {
            request = .init(tokensPerGroup: positions, keep: k)
        }
        let gate = threshold.map { threshold in { threshold.pointer[$0] } }
        let panels = EncoderPanels(self, dead: [], gate: gate, engine: engine)
        return FusedSelection(autoencoder: self, panels: panels, engine: engine)
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
