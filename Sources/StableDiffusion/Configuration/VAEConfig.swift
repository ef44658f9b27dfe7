import Files

/// What `vae/config.json` says (`AutoencoderKL`).
public struct VAEConfig: Sendable, Equatable {
    public let layout: VAELayout
    public let normNumGroups: Int
    /// Latents are multiplied by it after encoding and divided by it before decoding, so that their variance is near 1.
    public let scalingFactor: Float

    /// Pixels per latent position along each axis: 8 for SD 1.5.
    public var pixelFactor: Int { 1 << (layout.widths.count - 1) }

    public init(_ config: ConfigFile) throws {
        layout = try VAELayout(config)
        normNumGroups = try config.size("norm_num_groups", default: 32)
        scalingFactor = Float(try config.double("scaling_factor", default: 0.18215))
        guard scalingFactor > 0 else {
            throw config.bad("scaling_factor", expected: "a positive number", found: "\(scalingFactor)")
        }
        for key in ["shift_factor", "latents_mean", "latents_std"] {
            if let found = config.json[key], !found.isNull {
                throw config.bad(key, expected: "null (the only value supported)", found: found.serialized())
            }
        }
        let activation = try config.string("act_fn", default: "silu")
        guard activation == "silu" else { throw config.bad("act_fn", expected: "silu", found: activation) }
        for width in layout.widths where width % normNumGroups != 0 {
            throw config.bad("norm_num_groups", expected: "a divisor of \(width)", found: "\(normNumGroups)")
        }
    }
}
