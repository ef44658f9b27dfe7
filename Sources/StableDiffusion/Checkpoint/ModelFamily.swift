import Files

/// What a set of tensors is, as far as its names and shapes give it away. Only the first is run; the others are
/// recognized so that an error can say more than "unknown tensors".
public enum ModelFamily: String, Sendable, CaseIterable {
    case stableDiffusion1 = "Stable Diffusion 1.x"
    case vae = "a VAE alone"
    case unet = "a U-Net alone"
    case textEncoder = "a text encoder alone"
    case lora = "a LoRA"
    case stableDiffusion2 = "Stable Diffusion 2 (1024-wide context)"
    case sdxl = "Stable Diffusion XL"
    case sd3 = "Stable Diffusion 3"
    case flux = "Flux"
    case dit = "a diffusion transformer (DiT)"
    case controlNet = "a ControlNet"
    case inpainting = "an inpainting model (9 input channels)"
    case otherInput = "a U-Net whose input is not a 4-channel latent"
    case averageOnly = "only the running average (EMA) of a U-Net"
    case embedding = "a textual inversion"
    case unknown = "a file of unknown kind"

    /// What to do instead of loading it as a model.
    public var advice: String {
        switch self {
        case .vae: "give a whole model, and this file as its VAE"
        case .lora: "give a whole model, and this file as its LoRA"
        case .unet, .textEncoder: "put it into a diffusers folder beside its config.json and the other parts"
        case .averageOnly: "take the file that holds the weights themselves; the average's names do not tell its layers"
        case .embedding: "give a whole model, and this file as one of its textual inversions"
        case .unknown: "`lvo inspect` lists its tensors; single files must have the original (LDM) names"
        default: "this program runs Stable Diffusion 1.x"
        }
    }

    /// - Parameter shapes: all tensors of a single file.
    public static func recognize(_ shapes: [String: [Int]]) -> ModelFamily {
        let names = shapes.keys
        func any(_ test: (String) -> Bool) -> Bool { names.contains(where: test) }
        func anyPrefix(_ prefixes: String...) -> Bool { any { name in prefixes.contains { name.hasPrefix($0) } } }
        if any(LoRANames.isLoRA) { return .lora }
        if any({ $0.contains("double_blocks.") && $0.contains("img_attn") }) { return .flux }
        if any({ $0.contains("joint_blocks.") }) { return .sd3 }
        if anyPrefix("control_model.", "controlnet_cond_embedding.", "input_hint_block.") { return .controlNet }
        if anyPrefix("conditioner.embedders.", "model.diffusion_model.label_emb.", "add_embedding.") { return .sdxl }
        if anyPrefix("cond_stage_model.model.") { return .stableDiffusion2 }
        if let unet = unetFamily(shapes) { return unet }
        if any({ $0.contains("transformer_blocks.0.attn1") || $0.contains("blocks.0.attn.qkv") }),
            any({ $0.contains("pos_embed") || $0.contains("adaln") || $0.contains("adaLN") })
        {
            return .dit
        }
        if anyPrefix("first_stage_model.decoder.", "decoder.conv_in.") { return .vae }
        if any({ $0.hasSuffix("embeddings.token_embedding.weight") }) { return .textEncoder }
        if anyPrefix("model_ema.diffusion_model") { return .averageOnly }
        if anyPrefix("emb_params", "string_to_param.") { return .embedding }
        return .unknown
    }

    private static func unetFamily(_ shapes: [String: [Int]]) -> ModelFamily? {
        let ldm = LDMNames.unetPrefix
        guard let input = shapes[ldm + "input_blocks.0.0.weight"] ?? shapes["conv_in.weight"], input.count == 4 else {
            return nil
        }
        let context = shapes.first { $0.key.hasSuffix("attn2.to_k.weight") && $0.value.count == 2 }?.value[1]
        if context == 2048 { return .sdxl }
        if context == 1024 { return .stableDiffusion2 }
        if input[1] == 9 { return .inpainting }
        if input[1] != 4 { return .otherInput }
        let isWhole = shapes.keys.contains { $0.hasPrefix(ldm) }
        return isWhole ? .stableDiffusion1 : .unet
    }

    /// What a diffusers folder's `model_index.json` and U-Net configuration say.
    public static func recognize(modelIndex: JSON?, unet: JSON?) -> ModelFamily {
        let pipeline = modelIndex?["_class_name"]?.string ?? ""
        if pipeline.contains("StableDiffusion3") { return .sd3 }
        if pipeline.contains("XL") || unet?["addition_embed_type"]?.string != nil { return .sdxl }
        if pipeline.hasPrefix("Flux") { return .flux }
        if modelIndex?["transformer"]?.array?.first?.string != nil { return .dit }
        let context = unet?["cross_attention_dim"]?.int
        if context == 1024 { return .stableDiffusion2 }
        if context == 2048 { return .sdxl }
        let channels = unet?["in_channels"]?.int ?? 4
        return channels == 4 ? .stableDiffusion1 : channels == 9 ? .inpainting : .otherInput
    }
}
