/// How LoRA files of the three conventions name their tensors.
///
///     kohya      lora_unet_down_blocks_0_…_attn1_to_q.lora_down.weight   .lora_up.weight   .alpha
///     diffusers  unet.down_blocks.0.….attn1.to_q.lora_A.weight           .lora_B.weight
///                unet.down_blocks.0.….attn1.processor.to_q_lora.down.weight   (older)
///     PEFT       base_model.model.down_blocks.0.….attn1.to_q.lora_A.weight    (one network per file)
enum LoRANames {
    enum Role {
        case down, up, alpha
        /// A part of a method that is not a plain product of two matrices (LoHa, LoKr, DoRA, Tucker).
        case other
    }

    /// Endings, longest first where one ends in another.
    private static let endings: [(String, Role)] = [
        (".lora_down.weight", .down), (".lora_up.weight", .up), (".lora_A.default.weight", .down),
        (".lora_B.default.weight", .up), (".lora_A.weight", .down), (".lora_B.weight", .up),
        (".lora_linear_layer.down.weight", .down), (".lora_linear_layer.up.weight", .up),
        (".lora.down.weight", .down), (".lora.up.weight", .up), ("_lora.down.weight", .down),
        ("_lora.up.weight", .up), (".alpha", .alpha), (".lora_mid.weight", .other), (".dora_scale", .other),
        (".lora_magnitude_vector", .other),
    ]

    static func isLoRA(_ name: String) -> Bool {
        endings.contains { name.hasSuffix($0.0) && ($0.1 == .down || $0.1 == .up) }
    }

    /// The module's spelling in the file, and what the tensor is to it; nil for a name of no known ending.
    static func split(_ name: String) -> (module: String, role: Role)? {
        guard let (ending, role) = endings.first(where: { name.hasSuffix($0.0) }) else { return nil }
        return (String(name.dropLast(ending.count)), role)
    }

    /// Every spelling of a module that the conventions know for one weight (`….weight`) of a component.
    ///
    /// - Parameter ldm: the weight's original (LDM) name, which kohya's scripts use for some files.
    static func spellings(_ weight: String, _ component: ModelComponent, ldm: String?) -> [String] {
        let module = String(weight.dropLast(".weight".count))
        let kohya = component == .unet ? "lora_unet_" : "lora_te_"
        var dotted = [module]
        if module.hasSuffix(".to_out.0") { dotted.append(String(module.dropLast(2))) }
        if component == .textEncoder {
            dotted.append(oldProjection(module))
            dotted += dotted.map { String($0.dropFirst("text_model.".count)) }
        }
        var all = ["", "\(component.rawValue).", "base_model.model.", "base_model.model.\(component.rawValue)."].flatMap
        {
            prefix in dotted.map { prefix + $0 }
        }
        all.append(kohya + underscored(module))
        if let ldm { all.append(kohya + underscored(String(ldm.dropLast(".weight".count)))) }
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
