/// How LoRA files of each convention name their tensors.
///
///     kohya      lora_unet_down_blocks_0_…_attn1_to_q.lora_down.weight   .lora_up.weight   .alpha
///     diffusers  unet.down_blocks.0.….attn1.to_q.lora_A.weight           .lora_B.weight
///                unet.down_blocks.0.….attn1.processor.to_q_lora.down.weight   (older)
///     PEFT       base_model.model.down_blocks.0.….attn1.to_q.lora_A.weight    (one network per file)
///     ComfyUI    diffusion_model.input_blocks.1.1.….attn1.to_q.lora_down.weight
///                text_encoders.clip_l.transformer.text_model.….q_proj.lora_down.weight
package enum LoRANames {
    /// What a tensor is to its layer.
    enum Part: Hashable, CaseIterable {
        /// LoRA: the two matrices, the smaller kernel between them (LoCon), the bias of the second.
        case down, up, middle, upBias
        case alpha
        /// DoRA: PEFT's magnitudes, and LyCORIS's.
        case magnitude, doraScale
        /// LoHa.
        case hadamard1A, hadamard1B, hadamard1Core, hadamard2A, hadamard2B, hadamard2Core
        /// LoKr.
        case kronecker1, kronecker1A, kronecker1B, kronecker2, kronecker2A, kronecker2B, kronecker2Core
        /// (IA)³: PEFT's vector; LyCORIS's vector and its flag.
        case ia3, plain, onInput
        /// Fully fine-tuned layers and norms.
        case difference, biasDifference
    }

    /// Endings, longest first where one ends in another.
    private static let endings: [(String, Part)] = [
        (".lora_down.weight", .down), (".lora_up.weight", .up), (".lora_A.default.weight", .down),
        (".lora_B.default.weight", .up), (".lora_A.weight", .down), (".lora_B.weight", .up),
        (".lora_linear_layer.down.weight", .down), (".lora_linear_layer.up.weight", .up),
        (".lora.down.weight", .down), (".lora.up.weight", .up), ("_lora.down.weight", .down),
        ("_lora.up.weight", .up), (".lora_mid.weight", .middle), (".lora_B.bias", .upBias),
        (".lora_B.default.bias", .upBias), (".lora_up.bias", .upBias), (".alpha", .alpha), (".dora_scale", .doraScale),
        (".lora_magnitude_vector.default.weight", .magnitude), (".lora_magnitude_vector.weight", .magnitude),
        (".lora_magnitude_vector", .magnitude), (".hada_w1_a", .hadamard1A), (".hada_w1_b", .hadamard1B),
        (".hada_t1", .hadamard1Core), (".hada_w2_a", .hadamard2A), (".hada_w2_b", .hadamard2B),
        (".hada_t2", .hadamard2Core), (".lokr_w1", .kronecker1), (".lokr_w1_a", .kronecker1A),
        (".lokr_w1_b", .kronecker1B), (".lokr_w2", .kronecker2), (".lokr_w2_a", .kronecker2A),
        (".lokr_w2_b", .kronecker2B), (".lokr_t2", .kronecker2Core), (".ia3_l", .ia3), (".on_input", .onInput),
        (".diff", .difference), (".diff_b", .biasDifference), (".w_norm", .difference), (".b_norm", .biasDifference),
        (".weight", .plain),
    ]

    /// The endings, for the list in docs/models.md.
    package static var knownEndings: [String] { endings.map(\.0) }

    private static let telling: Set<Part> = [.down, .up, .hadamard1A, .kronecker1, .kronecker1A, .ia3, .onInput]

    static func isLoRA(_ name: String) -> Bool {
        endings.contains { telling.contains($0.1) && name.hasSuffix($0.0) }
    }

    /// The module's spelling in the file, and what the tensor is to it; nil for a name of no known ending.
    static func split(_ name: String) -> (module: String, part: Part)? {
        guard let (ending, part) = endings.first(where: { name.hasSuffix($0.0) }) else { return nil }
        return (String(name.dropLast(ending.count)), part)
    }

    /// Every spelling of a module that the conventions know for one weight (`….weight`) of a component.
    ///
    /// - Parameter ldm: the weight's original (LDM) name, which kohya's scripts use for some files.
    static func spellings(_ weight: String, _ component: ModelComponent, ldm: String?) -> [String] {
        let module = String(weight.dropLast(".weight".count))
        var dotted = [module]
        if module.hasSuffix(".to_out.0") { dotted.append(String(module.dropLast(2))) }
        if component == .textEncoder {
            dotted.append(oldProjection(module))
            dotted += dotted.map { String($0.dropFirst("text_model.".count)) }
        }
        let prefixes = ["", "\(component.rawValue).", "base_model.model.", "base_model.model.\(component.rawValue)."]
            + (component == .textEncoder ? ["text_encoders.clip_l.transformer.", "text_encoders.clip_l."] : [])
        var all = prefixes.flatMap { prefix in dotted.map { prefix + $0 } }
        let kohya = component == .unet ? ["lora_unet_", "lycoris_"] : ["lora_te_", "lora_te1_", "lycoris_"]
        all += kohya.map { $0 + underscored(module) }
        if let ldm = ldm.map({ String($0.dropLast(".weight".count)) }) {
            all += ["lora_unet_" + underscored(ldm), "diffusion_model." + ldm]
        }
        return all
    }

    /// Older diffusers called the text encoder's projections `to_q`, `to_k`, `to_v`, `to_out`.
    private static func oldProjection(_ module: String) -> String {
        for (new, old) in [(".q_proj", ".to_q"), (".k_proj", ".to_k"), (".v_proj", ".to_v"), (".out_proj", ".to_out")]
        where module.hasSuffix(new) {
            return String(module.dropLast(new.count)) + old
        }
        return module
    }

    private static func underscored(_ module: String) -> String {
        String(module.map { $0 == "." ? "_" : $0 })
    }

    /// The file's spelling without what stands between path and projection in the older diffusers form.
    static func normalized(_ module: String) -> String {
        let marker = ".processor."
        let parts = module.split(separator: marker, maxSplits: 1, omittingEmptySubsequences: false)
        return parts.count == 2 ? "\(parts[0]).\(parts[1])" : module
    }
}
