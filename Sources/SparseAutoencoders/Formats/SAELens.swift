import Checkpoints
import Files
import Tensors

/// SAELens' folder format: `cfg.json` and `sae_weights.safetensors` with `W_enc [D,L]`, `b_enc [L]`, `W_dec [L,D]`,
/// `b_dec [D]`, and `threshold [L]` for JumpReLU.
///
/// Three of its options are folded into the weights, which leaves the function as it is: an encoder that does not
/// subtract `b_dec`, activations scaled by the decoder rows' norms, and gates. Its `layer_norm` is `UnitNorm`.
public enum SAELens {
    static func weights(folder: String) throws -> SAEWeights {
        let file = try ConfigFile(path: "\(folder)/cfg.json")
        try ConfigurationKey.check(file, ConfigurationKey.saeLens)
        let (configuration, isGated) = try configuration(file)
        let store = try WeightStore(path: "\(folder)/sae_weights.safetensors")
        let (d, l) = (configuration.inputWidth, configuration.numLatents)
        var weights = try SAEWeights(
            configuration: configuration, encoderWeight: store.ownTransposed("W_enc", [l, d]),
            encoderBias: store.own(isGated ? "b_mag" : "b_enc", [l]), decoderWeight: store.own("W_dec", [l, d]),
            decoderBias: store.own("b_dec", [d]),
            threshold: configuration.rule == .jumpReLU ? store.own("threshold", [l]) : nil)
        if isGated { try weights.foldGate(scale: store.own("r_mag", [l]), gateBias: store.own("b_gate", [l])) }
        try store.finish()
        if try !file.bool("apply_b_dec_to_input", default: true) {
            // A threshold is compared with the sum, which stays what it was.
            weights.foldInputBias()
        }
        if try file.bool("rescale_acts_by_decoder_norm", default: false) { weights.foldDecoderNorms() }
        try weights.checkFinite(file: store.file)
        return weights
    }

    /// Writes `autoencoder` as SAELens reads it. BatchTopK and SampleTopK become TopK, which they are at inference.
    ///
    /// - Throws: `FileFailure.exists` or `.cannotWrite`.
    public static func write(
        _ autoencoder: SparseAutoencoder, folder: String, hook: String, dtype: DType = .f32, overwrite: Bool = false
    ) throws {
        let configuration = autoencoder.configuration
        var object = JSONObject()
        switch configuration.rule {
        case .relu: object["architecture"] = "standard"
        case .jumpReLU: object["architecture"] = "jumprelu"
        case .topK, .batchTopK, .sampleTopK:
            object["architecture"] = "topk"
            object["k"] = .integer(configuration.k)
        }
        object["d_in"] = .integer(configuration.inputWidth)
        object["d_sae"] = .integer(configuration.numLatents)
        object["dtype"] = dtype == .f16 ? "float16" : dtype == .bf16 ? "bfloat16" : "float32"
        object["device"] = "cpu"
        object["apply_b_dec_to_input"] = true
        object["normalize_activations"] = configuration.inputUnitNorm ? "layer_norm" : "none"
        object["reshape_activations"] = "none"
        object["rescale_acts_by_decoder_norm"] = false
        object["metadata"] = ["hook_name": .string(hook)]
        let tensors = [
            ("W_enc", transposed(autoencoder.encoderWeight)), ("b_enc", autoencoder.encoderBias),
            ("W_dec", autoencoder.decoderWeight), ("b_dec", autoencoder.decoderBias),
        ]
        try OutputFile.makeFolder(folder)
        try SafetensorsWriter.write(
            tensors.map { (name: $0.0, tensor: $0.1) }
                + (autoencoder.threshold.map { [(name: "threshold", tensor: $0)] } ?? []),
            to: "\(folder)/sae_weights.safetensors", overwrite: overwrite, dtype: dtype)
        try JSON.object(object).write(to: "\(folder)/cfg.json", overwrite: overwrite)
    }

    /// Older files name the activation (`activation_fn_str`, `activation_fn_kwargs`), newer ones the architecture.
    private static func configuration(_ file: ConfigFile) throws -> (SAEConfiguration, isGated: Bool) {
        let activation = try file.string("activation_fn_str", default: file.string("activation_fn", default: "relu"))
        let architecture = try file.string("architecture", default: "standard")
        let given = file.json["activation_fn_kwargs"] ?? .null
        let kwargs = try ConfigFile(
            file: "\(file.file), activation_fn_kwargs", json: given.isNull ? .object(JSONObject()) : given)
        try ConfigurationKey.check(kwargs, ConfigurationKey.saeLensActivation)
        let rule: SelectionRule
        switch (architecture, activation) {
        case ("topk", _), ("standard", "topk"): rule = .topK
        case ("jumprelu", "relu"): rule = .jumpReLU
        case ("standard", "relu"), ("gated", "relu"): rule = .relu
        default:
            throw FileFailure.unsupported(
                file: file.file, found: "architecture \(architecture) with activation \(activation)",
                advice: "standard, topk, jumprelu and gated can be read (SAELens: save_inference_model for batchtopk)")
        }
        let isTopLevel = file.json["k"]?.isNull == false
        let k = rule == .topK ? try (isTopLevel ? file : kwargs).size("k") : 1
        var configuration = try SAEConfiguration(
            inputWidth: file.size("d_in"), numLatents: file.size("d_sae"), k: k, rule: rule)
        configuration.normalizeDecoder = false
        configuration.inputUnitNorm = try normalizes(file)
        if let problem = configuration.problem(latents: "d_sae") {
            throw (isTopLevel ? file : kwargs).bad(problem.key, expected: problem.expected, found: problem.found)
        }
        return (configuration, architecture == "gated")
    }

    /// Whether tokens are normalised; SAELens 2 wrote a boolean.
    private static func normalizes(_ file: ConfigFile) throws -> Bool {
        let value = file.json["normalize_activations"] ?? .null
        switch value {
        case .null, .bool(false), .string("none"): return false
        case .string("layer_norm"): return true
        default:
            throw FileFailure.unsupported(
                file: file.file, found: "normalize_activations \(value.serialized())",
                advice: "fold the normalisation into the weights (SAELens: fold_activation_norm_scaling_factor) first")
        }
    }
}
