import Checkpoints
import Files
import Tensors

/// SAELens' folder format: `cfg.json` and `sae_weights.safetensors` with `W_enc [D,L]`, `b_enc [L]`, `W_dec [L,D]`,
/// `b_dec [D]`, and `threshold [L]` for JumpReLU.
///
/// Two of its options are folded into the weights, which leaves the function as it is: an encoder that does not
/// subtract `b_dec` (`b_enc + W_enc·b_dec` instead), and activations scaled by the decoder rows' norms (norms moved
/// into the encoder).
public enum SAELens {
    /// - Throws: `FileFailure`; `.unsupported` for architectures and normalisations without a counterpart.
    public static func read(folder: String) throws -> SparseAutoencoder {
        let file = try ConfigFile(path: "\(folder)/cfg.json")
        let configuration = try configuration(file)
        let store = try WeightStore(path: "\(folder)/sae_weights.safetensors")
        let (d, l) = (configuration.inputWidth, configuration.numLatents)
        func take(_ name: String, _ shape: [Int]) throws -> Tensor {
            try Tensor(shape, store.take(name, shape: shape).floats())
        }
        let encoder = transposed(try take("W_enc", [d, l]))
        let autoencoder = try SparseAutoencoder(
            configuration: configuration, encoderWeight: encoder, encoderBias: take("b_enc", [l]),
            decoderWeight: take("W_dec", [l, d]), decoderBias: take("b_dec", [d]),
            threshold: configuration.rule == .jumpReLU ? take("threshold", [l]) : nil)
        try store.finish()
        if try !file.bool("apply_b_dec_to_input", default: true) { foldInputBias(autoencoder) }
        if try file.bool("rescale_acts_by_decoder_norm", default: false) { foldNorms(autoencoder) }
        return autoencoder
    }

    /// Writes `autoencoder` as SAELens reads it. BatchTopK and SampleTopK become TopK, which they are at inference.
    ///
    /// - Throws: `FileFailure`; `.unsupported` for unit-norm inputs, whose meaning there is another.
    public static func write(
        _ autoencoder: SparseAutoencoder, folder: String, hook: String, dtype: DType = .f32, overwrite: Bool = false
    ) throws {
        let configuration = autoencoder.configuration
        guard !configuration.inputUnitNorm else {
            throw FileFailure.unsupported(
                file: folder, found: "input_unit_norm has no counterpart in SAELens",
                advice: "keep the published format")
        }
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
        object["normalize_activations"] = "none"
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
    private static func configuration(_ file: ConfigFile) throws -> SAEConfiguration {
        let activation = try file.string("activation_fn_str", default: file.string("activation_fn", default: "relu"))
        let architecture = try file.string("architecture", default: "standard")
        let kwargs = try ConfigFile(file: file.file, json: file.json["activation_fn_kwargs"] ?? .object(JSONObject()))
        let rule: SelectionRule
        switch (architecture, activation) {
        case ("topk", _), ("standard", "topk"): rule = .topK
        case ("jumprelu", _): rule = .jumpReLU
        case ("standard", "relu"): rule = .relu
        default:
            throw FileFailure.unsupported(
                file: file.file, found: "architecture \(architecture) with activation \(activation)",
                advice: "standard, topk and jumprelu can be imported")
        }
        let normalization = try file.string("normalize_activations", default: "none")
        guard normalization == "none" else {
            throw FileFailure.unsupported(
                file: file.file, found: "normalize_activations \(normalization)",
                advice: "fold the normalisation into the weights (SAELens: fold_activation_norm_scaling_factor) first")
        }
        let k = rule == .topK ? try file.json["k"]?.int ?? kwargs.size("k") : 1
        return try SAEConfiguration(inputWidth: file.size("d_in"), numLatents: file.size("d_sae"), k: k, rule: rule)
            .normalizingDecoder(false)
    }

    private static func foldInputBias(_ autoencoder: SparseAutoencoder) {
        let (d, weight) = (autoencoder.inputWidth, autoencoder.encoderWeight.pointer)
        for feature in 0..<autoencoder.numLatents {
            var sum = 0.0
            for i in 0..<d { sum += Double(weight[feature * d + i]) * Double(autoencoder.decoderBias.pointer[i]) }
            autoencoder.encoderBias.pointer[feature] += Float(sum)
        }
    }

    private static func foldNorms(_ autoencoder: SparseAutoencoder) {
        let d = autoencoder.inputWidth
        for feature in 0..<autoencoder.numLatents {
            let decoder = autoencoder.decoderWeight.pointer + feature * d
            let encoder = autoencoder.encoderWeight.pointer + feature * d
            let norm = (0..<d).reduce(0.0) { $0 + Double(decoder[$1]) * Double(decoder[$1]) }.squareRoot()
            guard norm > 0 else { continue }
            for i in 0..<d {
                decoder[i] /= Float(norm)
                encoder[i] *= Float(norm)
            }
            autoencoder.encoderBias.pointer[feature] *= Float(norm)
        }
    }

    private static func transposed(_ matrix: Tensor) -> Tensor {
        let (rows, columns) = (matrix.shape[0], matrix.shape[1])
        return matrix.reshaped([1, 1, rows, columns]).channelsFirst().reshaped([columns, rows])
    }
}

extension SAEConfiguration {
    func normalizingDecoder(_ normalize: Bool) -> SAEConfiguration {
        var copy = self
        copy.normalizeDecoder = normalize
        return copy
    }
}
