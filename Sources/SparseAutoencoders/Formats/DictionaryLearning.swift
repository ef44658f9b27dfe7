import Checkpoints
import Files
import Tensors

/// dictionary_learning's folders: `config.json` and `ae.pt`, a state dictionary whose names depend on the class.
/// Activations are those that the class's `encode` gives by default after `load_dictionary`.
enum DictionaryLearning {
    static func weights(folder: String) throws -> SAEWeights {
        let whole = try ConfigFile(path: "\(folder)/config.json")
        guard let trainer = whole.json["trainer"] else {
            throw whole.bad("trainer", expected: "an object", found: "nothing")
        }
        let file = try ConfigFile(file: whole.file, json: trainer)
        try ConfigurationKey.check(file, ConfigurationKey.dictionaryLearning)
        // Pairs of a module's input and output, as for transcoders.
        if let io = whole.json["buffer"]?["io"]?.string, io == "in_and_out" {
            throw whole.bad("buffer.io", expected: "in or out", found: io)
        }
        let store = try WeightStore(path: "\(folder)/ae.pt")
        let weights = try weights(file, store)
        try store.finish()
        try weights.checkFinite(file: store.file)
        return weights
    }

    private static func weights(_ file: ConfigFile, _ store: WeightStore) throws -> SAEWeights {
        let name = try file.string("dict_class")
        switch name {
        case "AutoEncoder":
            let weights = try linear(file, store, .relu, decoderBias: "bias")
            // As `from_pretrained`, which leaves norms alone that are 1 within torch.allclose's tolerance.
            if weights.decoderNorms.contains(where: { abs($0 - 1) > 1e-8 + 1e-5 }) { weights.foldDecoderNorms() }
            return weights
        case "AutoEncoderNew":
            let weights = try linear(file, store, .relu, decoderBias: "decoder.bias")
            weights.foldInputBias()
            return weights
        case "GatedAutoEncoder":
            var weights = try linear(file, store, .relu, encoderBias: "mag_bias", decoderBias: "decoder_bias")
            let latents = [weights.configuration.numLatents]
            try weights.foldGate(scale: store.own("r_mag", latents), gateBias: store.own("gate_bias", latents))
            return weights
        case "AutoEncoderTopK":
            let weights = try linear(file, store, .topK, decoderBias: "b_dec")
            // For a mode of `encode` that is not the default; early versions have none.
            if store.shape(of: "threshold") != nil { _ = try store.take("threshold", shape: []) }
            return weights
        case "BatchTopKSAE":
            return try thresholded(linear(file, store, .batchTopK, decoderBias: "b_dec"), store)
        case "MatryoshkaBatchTopKSAE":
            var weights = try thresholded(matrices(file, store, .batchTopK), store)
            weights.configuration.prefixes = try prefixes(file, store, weights.configuration.numLatents)
            return weights
        case "JumpReluAutoEncoder":
            var weights = try matrices(file, store, .jumpReLU)
            weights.threshold = try store.own("threshold", [weights.configuration.numLatents])
            weights.foldInputBias()
            return weights
        default:
            throw FileFailure.unsupported(
                file: file.file, found: "dict_class \(name)",
                advice: "AutoEncoder, AutoEncoderNew, AutoEncoderTopK, BatchTopKSAE, GatedAutoEncoder, JumpReluAutoEncoder "
                    + "and MatryoshkaBatchTopKSAE can be read")
        }
    }

    private static func configuration(
        _ file: ConfigFile, _ store: WeightStore, _ rule: SelectionRule
    ) throws -> SAEConfiguration {
        var configuration = try SAEConfiguration(
            inputWidth: file.size("activation_dim"), numLatents: file.size("dict_size"), k: 1, rule: rule)
        configuration.normalizeDecoder = false
        if rule.countsK {
            configuration.k = try file.size("k")
            // Early versions did not save it.
            if store.shape(of: "k") != nil, let saved = try store.take("k", shape: []).floats().first,
                Double(saved) != Double(configuration.k)
            {
                throw file.bad("k", expected: "\(saved) as in ae.pt", found: "\(configuration.k)")
            }
        }
        if let problem = configuration.problem(latents: "dict_size") {
            throw file.bad(problem.key, expected: problem.expected, found: problem.found)
        }
        return configuration
    }

    /// Classes made of `nn.Linear`: the decoder lies transposed.
    private static func linear(
        _ file: ConfigFile, _ store: WeightStore, _ rule: SelectionRule, encoderBias: String = "encoder.bias",
        decoderBias: String
    ) throws -> SAEWeights {
        let configuration = try configuration(file, store, rule)
        let (d, l) = (configuration.inputWidth, configuration.numLatents)
        return try SAEWeights(
            configuration: configuration, encoderWeight: store.own("encoder.weight", [l, d]),
            encoderBias: store.own(encoderBias, [l]), decoderWeight: store.ownTransposed("decoder.weight", [l, d]),
            decoderBias: store.own(decoderBias, [d]))
    }

    /// Classes made of `nn.Parameter`: the encoder lies transposed.
    private static func matrices(
        _ file: ConfigFile, _ store: WeightStore, _ rule: SelectionRule
    ) throws -> SAEWeights {
        let configuration = try configuration(file, store, rule)
        let (d, l) = (configuration.inputWidth, configuration.numLatents)
        return try SAEWeights(
            configuration: configuration, encoderWeight: store.ownTransposed("W_enc", [l, d]),
            encoderBias: store.own("b_enc", [l]), decoderWeight: store.own("W_dec", [l, d]),
            decoderBias: store.own("b_dec", [d]))
    }

    /// BatchTopK's inference: all activations above one threshold, learned beside the weights; −1 while it was not.
    private static func thresholded(_ weights: SAEWeights, _ store: WeightStore) throws -> SAEWeights {
        var weights = weights
        let value = try store.own("threshold", []).array[0]
        let latents = weights.configuration.numLatents
        weights.threshold = Tensor([latents], [Float](repeating: max(0, value), count: latents))
        weights.configuration.rule = .jumpReLU
        return weights
    }

    private static func prefixes(_ file: ConfigFile, _ store: WeightStore, _ latents: Int) throws -> [Int] {
        let sizes = try file.ints("group_sizes")
        var ends: [Int] = []
        for size in sizes {
            guard (1...latents).contains(size) else {
                throw file.bad("group_sizes", expected: "sizes from 1 to \(latents)", found: "\(size)")
            }
            ends.append((ends.last ?? 0) + size)
        }
        let saved = try store.take("group_sizes", shape: [sizes.count]).floats()
        guard ends.last == latents, saved == sizes.map(Float.init) else {
            throw file.bad("group_sizes", expected: "those of ae.pt, \(latents) in all", found: "\(sizes)")
        }
        return ends.dropLast()
    }
}
