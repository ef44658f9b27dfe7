import Files

/// What `unet/config.json` says: the sizes (`UNetLayout`) and the numbers that no tensor's shape shows.
///
/// An absent key means diffusers' default. A key that would change the computation in a way this program does not
/// follow is refused by name unless it has its default, because ignoring it would give wrong numbers silently.
public struct UNetConfig: Sendable, Equatable {
    public let layout: UNetLayout
    /// Attention heads per level. In the file they are called `attention_head_dim`, a misnomer that diffusers keeps for
    /// compatibility: 8 in SD 1.5 means 8 heads of 40, 80, 160, 160 channels.
    public let heads: [Int]
    public let normNumGroups: Int
    /// ε of the resnets' and the output's group norms; the transformers' is 1e-6 always.
    public let normEps: Float
    public let flipSinToCos: Bool
    public let freqShift: Float
    /// Latent height and width the model was trained for.
    public let sampleSize: Int

    public init(_ config: ConfigFile) throws {
        layout = try UNetLayout(config)
        heads = try Self.heads(config, levels: layout.widths.count)
        normNumGroups = try config.size("norm_num_groups", default: 32)
        normEps = Float(try config.double("norm_eps", default: 1e-5))
        flipSinToCos = try config.bool("flip_sin_to_cos", default: true)
        freqShift = Float(try config.double("freq_shift", default: 0))
        sampleSize = try config.size("sample_size", default: 64)
        try Self.refuseUnsupported(config)
        for (level, width) in layout.widths.enumerated() {
            guard width % heads[level] == 0 else {
                throw config.bad("attention_head_dim", expected: "a divisor of \(width)", found: "\(heads[level])")
            }
            guard width % normNumGroups == 0 else {
                throw config.bad("norm_num_groups", expected: "a divisor of \(width)", found: "\(normNumGroups)")
            }
        }
    }

    private static func heads(_ config: ConfigFile, levels: Int) throws -> [Int] {
        if config.json["attention_head_dim"]?.array == nil {
            return Array(repeating: try config.size("attention_head_dim", default: 8), count: levels)
        }
        let heads = try config.ints("attention_head_dim")
        guard heads.count == levels, heads.allSatisfy({ $0 > 0 }) else {
            throw config.bad("attention_head_dim", expected: "\(levels) positive numbers", found: "\(heads)")
        }
        return heads
    }

    /// Keys of diffusers' `UNet2DConditionModel` whose default is the only value followed here.
    private static let onlyDefaults: [(key: String, value: JSON)] = [
        ("num_attention_heads", .null), ("mid_block_type", "UNetMidBlock2DCrossAttn"), ("class_embed_type", .null),
        ("addition_embed_type", .null), ("encoder_hid_dim", .null), ("encoder_hid_dim_type", .null),
        ("time_cond_proj_dim", .null), ("dual_cross_attention", false), ("only_cross_attention", false),
        ("resnet_time_scale_shift", "default"), ("transformer_layers_per_block", 1),
        ("reverse_transformer_layers_per_block", .null), ("center_input_sample", false), ("act_fn", "silu"),
        ("downsample_padding", 1), ("mid_block_scale_factor", 1), ("num_class_embeds", .null),
        ("resnet_skip_time_act", false), ("resnet_out_scale_factor", 1), ("time_embedding_type", "positional"),
        ("time_embedding_dim", .null), ("time_embedding_act_fn", .null), ("timestep_post_act", .null),
        ("conv_in_kernel", 3), ("conv_out_kernel", 3), ("attention_type", "default"),
        ("class_embeddings_concat", false), ("mid_block_only_cross_attention", .null),
        ("cross_attention_norm", .null),
    ]

    private static func refuseUnsupported(_ config: ConfigFile) throws {
        for (key, value) in onlyDefaults {
            guard let found = config.json[key], !found.isNull else { continue }
            let isDefault = value.double.map { found.double == $0 } ?? (found == value)
            guard isDefault else {
                throw config.bad(
                    key, expected: "\(value.serialized()) (the only value supported)", found: found.serialized())
            }
        }
    }
}
