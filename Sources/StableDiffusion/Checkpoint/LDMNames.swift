/// The names that the original Stable Diffusion code (latent diffusion, "LDM") gives to the tensors that diffusers
/// names otherwise. Single-file checkpoints of the 1.x family use them.
package enum LDMNames {
    package static let unetPrefix = "model.diffusion_model."
    package static let vaePrefix = "first_stage_model."
    package static let textPrefix = "cond_stage_model.transformer."

    /// U-Net. LDM numbers the blocks of all levels through: the input side is `conv_in`, then per level its layers
    /// and its downsampler; the output side is per level its layers, the upsampler standing in the last one.
    package static func unet(_ name: String, _ config: UNetConfig) -> String {
        let parts = name.split(separator: ".").map(String.init)
        func rest(_ first: Int) -> String { parts[first...].joined(separator: ".") }
        switch parts[0] {
        case "conv_in": return "input_blocks.0.0." + rest(1)
        case "time_embedding": return "time_embed.\(parts[1] == "linear_1" ? 0 : 2)." + rest(2)
        case "conv_norm_out": return "out.0." + rest(1)
        case "conv_out": return "out.2." + rest(1)
        case "mid_block":
            let isAttention = parts[1] == "attentions"
            let position = isAttention ? 1 : parts[2] == "0" ? 0 : 2
            return "middle_block.\(position)." + (isAttention ? rest(3) : renamed(rest(3), unetResnet))
        default: return unetBlock(parts, config)
        }
    }

    private static func unetBlock(_ parts: [String], _ config: UNetConfig) -> String {
        let isDown = parts[0] == "down_blocks"
        let (level, layer) = (Int(parts[1]) ?? 0, Int(parts[3]) ?? 0)
        let first = level * (config.layersPerBlock + 1)
        let rest = parts[4...].joined(separator: ".")
        let side = isDown ? "input_blocks" : "output_blocks"
        let start = isDown ? first + 1 : first
        switch parts[2] {
        case "resnets": return "\(side).\(start + layer).0." + renamed(rest, unetResnet)
        case "attentions": return "\(side).\(start + layer).1." + rest
        case "downsamplers": return "\(side).\(start + config.layersPerBlock).0.op." + parts[5]
        default:
            return "\(side).\(start + config.layersPerBlock).\(config.upAttention[level] ? 2 : 1)." + rest
        }
    }

    private static let unetResnet = [
        "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
        "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
    ]

    /// VAE. LDM counts the decoder's levels from the finest.
    package static func vae(_ name: String, _ config: VAEConfig) -> String {
        let parts = name.split(separator: ".").map(String.init)
        func rest(_ first: Int) -> String { parts[first...].joined(separator: ".") }
        guard parts.count > 2 else { return name }
        let part = parts[0]
        switch parts[1] {
        case "conv_norm_out": return "\(part).norm_out." + rest(2)
        case "mid_block" where parts[2] == "attentions": return "\(part).mid.attn_1." + renamed(rest(4), vaeAttention)
        case "mid_block":
            return "\(part).mid.block_\(parts[3] == "0" ? 1 : 2)." + renamed(rest(4), vaeResnet)
        case "down_blocks", "up_blocks":
            let isDown = parts[1] == "down_blocks"
            let index = Int(parts[2]) ?? 0
            let level = "\(part).\(isDown ? "down" : "up").\(isDown ? index : config.widths.count - 1 - index)"
            if parts[3] == "resnets" { return "\(level).block.\(parts[4])." + renamed(rest(5), vaeResnet) }
            return "\(level).\(isDown ? "downsample" : "upsample")." + rest(5)
        default: return name
        }
    }

    private static let vaeResnet = ["conv_shortcut": "nin_shortcut"]
    private static let vaeAttention = [
        "group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out",
    ]

    /// Replaces what stands before the last part, if the table has it.
    private static func renamed(_ name: String, _ table: [String: String]) -> String {
        guard let dot = name.lastIndex(of: ".") else { return name }
        return (table[String(name[..<dot])] ?? String(name[..<dot])) + name[dot...]
    }
}
