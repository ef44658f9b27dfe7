import Files

/// A VAE in numbers: what `vae/config.json` says (`AutoencoderKL` in diffusers). Absent keys mean diffusers' defaults.
public struct VAEConfig: Sendable, Equatable {
    /// Channels of a picture: 3.
    public let imageChannels: Int
    /// Channels of a latent: 4.
    public let latentChannels: Int
    /// `block_out_channels`: channels at each level, the picture's own resolution first; 128, 256, 512, 512 in SD 1.5.
    public let widths: [Int]
    /// Resnets at each level of the encoder; the decoder has one more.
    public let layersPerBlock: Int
    /// Whether there is an attention between the two resnets of the deepest level.
    public let midAttention: Bool
    /// Whether the encoder ends in a 1×1 convolution of the moments.
    public let quantConv: Bool
    /// Whether the decoder begins with a 1×1 convolution of the latent.
    public let postQuantConv: Bool
    /// Groups of every group norm.
    public let normNumGroups: Int
    /// Latents are multiplied by it after encoding and divided by it before decoding, so that their variance is near 1.
    public let scalingFactor: Float

    /// Stable Diffusion 1.5.
    public static let sd15 = VAEConfig(widths: [128, 256, 512, 512], layersPerBlock: 2)

    /// Pixels per latent position along each axis: 8 for SD 1.5.
    public var pixelFactor: Int { 1 << (widths.count - 1) }

    /// Bytes that encoding or decoding one picture takes at its widest place, about: twice the largest map (measured:
    /// 536 MB for 512×512 pixels of SD 1.5), and a quarter more.
    package func workingBytes(height: Int, width: Int) -> Int {
        let maps = widths.indices.map { level in
            (height >> level + 1) * (width >> level + 1) * max(widths[level], widths[min(level + 1, widths.count - 1)])
        }
        return (maps.max() ?? 0) * 10
    }

    /// Takes the numbers as they are: what does not fit together is found by `init(_:)` only.
    package init(
        imageChannels: Int = 3, latentChannels: Int = 4, widths: [Int], layersPerBlock: Int, midAttention: Bool = true,
        quantConv: Bool = true, postQuantConv: Bool = true
    ) {
        self.imageChannels = imageChannels
        self.latentChannels = latentChannels
        self.widths = widths
        self.layersPerBlock = layersPerBlock
        self.midAttention = midAttention
        self.quantConv = quantConv
        self.postQuantConv = postQuantConv
        normNumGroups = 32
        scalingFactor = 0.18215
    }

    /// Reads and checks a `config.json`.
    /// - Throws: `FileFailure.badKey` for a value that is out of range, not supported, or does not fit the others.
    public init(_ config: ConfigFile) throws(FileFailure) {
        try ConfigurationKey.check(config, ConfigurationKey.vae)
        try self.init(sizesOf: config)
        guard scalingFactor > 0 else {
            throw config.bad("scaling_factor", expected: "a positive number", found: "\(scalingFactor)")
        }
        for width in widths where width % normNumGroups != 0 {
            throw config.bad("norm_num_groups", expected: "a divisor of \(width)", found: "\(normNumGroups)")
        }
    }

    /// Reads a `config.json` as far as the network's tensors depend on it: enough for a manifest, not for running it.
    /// - Throws: `FileFailure.badKey` for an unknown block type or a value that is out of range.
    package init(sizesOf config: ConfigFile) throws(FileFailure) {
        widths = try config.widths("block_out_channels", default: [64])
        layersPerBlock = try config.layers("layers_per_block", default: 1, atMost: 64)
        try Self.check(config, "down_block_types", "DownEncoderBlock2D", count: widths.count)
        try Self.check(config, "up_block_types", "UpDecoderBlock2D", count: widths.count)
        imageChannels = try config.size("in_channels", default: 3)
        let outChannels = try config.size("out_channels", default: 3)
        guard outChannels == imageChannels else {
            throw config.bad("out_channels", expected: "\(imageChannels), as in_channels", found: "\(outChannels)")
        }
        latentChannels = try config.size("latent_channels", default: 4)
        midAttention = try config.flag("mid_block_add_attention", default: true)
        quantConv = try config.flag("use_quant_conv", default: true)
        postQuantConv = try config.flag("use_post_quant_conv", default: true)
        normNumGroups = try config.size("norm_num_groups", default: 32)
        scalingFactor = Float(try config.double("scaling_factor", default: 0.18215))
    }

    private static func check(
        _ config: ConfigFile, _ key: String, _ type: String, count: Int
    ) throws(FileFailure) {
        let types = try config.strings(key, default: [type])
        if let other = types.first(where: { $0 != type }) { throw config.bad(key, expected: type, found: other) }
        guard types.count == count else {
            throw config.bad(key, expected: "\(count) blocks, as block_out_channels has", found: "\(types.count)")
        }
    }
}
