import Checkpoints
import Files

/// The sizes that decide which tensors a VAE has (`AutoencoderKL`).
public struct VAELayout: Sendable, Equatable {
    public var imageChannels = 3
    public var latentChannels = 4
    /// `block_out_channels`.
    public var widths: [Int]
    public var layersPerBlock: Int
    public var midAttention = true
    public var quantConv = true
    public var postQuantConv = true

    public static let sd15 = VAELayout(widths: [128, 256, 512, 512], layersPerBlock: 2)

    public init(widths: [Int], layersPerBlock: Int) {
        self.widths = widths
        self.layersPerBlock = layersPerBlock
    }

    public init(_ config: ConfigFile) throws(FileFailure) {
        widths = try config.ints("block_out_channels", default: [64])
        guard (1...16).contains(widths.count), widths.allSatisfy({ (1...1 << 20).contains($0) }) else {
            throw config.bad("block_out_channels", expected: "1 to 16 positive sizes", found: "\(widths)")
        }
        layersPerBlock = try config.size("layers_per_block", default: 1)
        guard layersPerBlock <= 64 else {
            throw config.bad("layers_per_block", expected: "at most 64", found: "\(layersPerBlock)")
        }
        try Self.check(config, "down_block_types", "DownEncoderBlock2D", count: widths.count)
        try Self.check(config, "up_block_types", "UpDecoderBlock2D", count: widths.count)
        imageChannels = try config.size("in_channels", default: 3)
        let outChannels = try config.size("out_channels", default: 3)
        guard outChannels == imageChannels else {
            throw config.bad("out_channels", expected: "\(imageChannels), as in_channels", found: "\(outChannels)")
        }
        latentChannels = try config.size("latent_channels", default: 4)
        midAttention = try config.bool("mid_block_add_attention", default: true)
        quantConv = try config.bool("use_quant_conv", default: true)
        postQuantConv = try config.bool("use_post_quant_conv", default: true)
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

    /// Every tensor, named as diffusers names it today (`to_q`, not `query`).
    public var manifest: Manifest {
        var manifest = Manifest()
        addEncoder(to: &manifest)
        addDecoder(to: &manifest)
        let moments = 2 * latentChannels
        if quantConv { manifest.convolution("quant_conv", moments, moments, kernel: 1) }
        if postQuantConv { manifest.convolution("post_quant_conv", latentChannels, latentChannels, kernel: 1) }
        return manifest
    }

    private func addEncoder(to manifest: inout Manifest) {
        manifest.convolution("encoder.conv_in", imageChannels, widths[0], kernel: 3)
        for (level, width) in widths.enumerated() {
            let block = "encoder.down_blocks.\(level)"
            for layer in 0..<layersPerBlock {
                let input = layer == 0 ? widths[max(level - 1, 0)] : width
                manifest.resnet("\(block).resnets.\(layer)", input, width)
            }
            if level < widths.count - 1 {
                manifest.convolution("\(block).downsamplers.0.conv", width, width, kernel: 3)
            }
        }
        let deepest = widths[widths.count - 1]
        addMiddle("encoder.mid_block", deepest, to: &manifest)
        manifest.norm("encoder.conv_norm_out", deepest)
        manifest.convolution("encoder.conv_out", deepest, 2 * latentChannels, kernel: 3)
    }

    private func addDecoder(to manifest: inout Manifest) {
        let reversed = Array(widths.reversed())
        manifest.convolution("decoder.conv_in", latentChannels, reversed[0], kernel: 3)
        for (index, width) in reversed.enumerated() {
            let block = "decoder.up_blocks.\(index)"
            for layer in 0...layersPerBlock {
                let input = layer == 0 ? reversed[max(index - 1, 0)] : width
                manifest.resnet("\(block).resnets.\(layer)", input, width)
            }
            if index < widths.count - 1 {
                manifest.convolution("\(block).upsamplers.0.conv", width, width, kernel: 3)
            }
        }
        addMiddle("decoder.mid_block", reversed[0], to: &manifest)
        manifest.norm("decoder.conv_norm_out", widths[0])
        manifest.convolution("decoder.conv_out", widths[0], imageChannels, kernel: 3)
    }

    private func addMiddle(_ name: String, _ width: Int, to manifest: inout Manifest) {
        if midAttention {
            manifest.norm(name + ".attentions.0.group_norm", width)
            for part in ["to_q", "to_k", "to_v", "to_out.0"] {
                manifest.linear("\(name).attentions.0.\(part)", width, width)
            }
        }
        for index in 0..<2 { manifest.resnet("\(name).resnets.\(index)", width, width) }
    }
}
