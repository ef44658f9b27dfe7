import Checkpoints
import Files

/// The sizes that decide which tensors a U-Net has (`UNet2DConditionModel`).
public struct UNetLayout: Sendable, Equatable {
    public var inChannels = 4
    public var outChannels = 4
    /// `block_out_channels`: the width of each level.
    public var widths: [Int]
    public var layersPerBlock: Int
    /// `cross_attention_dim`: the text encoder's width.
    public var contextWidth: Int
    /// Per down block, in order: whether its type has attention.
    public var downAttention: [Bool]
    /// Per up block, in order (deepest level first).
    public var upAttention: [Bool]
    /// `proj_in` and `proj_out` are linear layers instead of 1×1 convolutions.
    public var linearProjection = false

    public static let sd15 = UNetLayout(
        widths: [320, 640, 1280, 1280], layersPerBlock: 2, contextWidth: 768,
        downAttention: [true, true, true, false], upAttention: [false, true, true, true])

    public init(widths: [Int], layersPerBlock: Int, contextWidth: Int, downAttention: [Bool], upAttention: [Bool]) {
        self.widths = widths
        self.layersPerBlock = layersPerBlock
        self.contextWidth = contextWidth
        self.downAttention = downAttention
        self.upAttention = upAttention
    }

    /// - Throws: `FileFailure.badKey` for an unknown block type or sizes that do not fit together.
    public init(_ config: ConfigFile) throws(FileFailure) {
        widths = try config.ints("block_out_channels", default: [320, 640, 1280, 1280])
        guard (1...16).contains(widths.count), widths.allSatisfy({ (1...1 << 20).contains($0) }) else {
            throw config.bad("block_out_channels", expected: "1 to 16 positive sizes", found: "\(widths)")
        }
        layersPerBlock = try config.size("layers_per_block", default: 2)
        guard layersPerBlock <= 64 else {
            throw config.bad("layers_per_block", expected: "at most 64", found: "\(layersPerBlock)")
        }
        contextWidth = try config.size("cross_attention_dim", default: 1280)
        downAttention = try Self.attention(
            config, "down_block_types", ["DownBlock2D": false, "CrossAttnDownBlock2D": true],
            default: Array(repeating: "CrossAttnDownBlock2D", count: 3) + ["DownBlock2D"], count: widths.count)
        upAttention = try Self.attention(
            config, "up_block_types", ["UpBlock2D": false, "CrossAttnUpBlock2D": true],
            default: ["UpBlock2D"] + Array(repeating: "CrossAttnUpBlock2D", count: 3), count: widths.count)
        inChannels = try config.size("in_channels", default: 4)
        outChannels = try config.size("out_channels", default: 4)
        linearProjection = try config.bool("use_linear_projection", default: false)
    }

    private static func attention(
        _ config: ConfigFile, _ key: String, _ types: [String: Bool], default standard: [String], count: Int
    ) throws(FileFailure) -> [Bool] {
        let names = try config.strings(key, default: standard)
        guard names.count == count else {
            throw config.bad(key, expected: "\(count) blocks, as block_out_channels has", found: "\(names.count)")
        }
        var attention: [Bool] = []
        for name in names {
            guard let has = types[name] else {
                throw config.bad(key, expected: types.keys.sorted().joined(separator: " or "), found: name)
            }
            attention.append(has)
        }
        return attention
    }

    /// Width of the time embedding: four times the first level's.
    public var timeWidth: Int { 4 * widths[0] }

    /// Every tensor, named as diffusers names it.
    public var manifest: Manifest {
        var manifest = Manifest()
        manifest.convolution("conv_in", inChannels, widths[0], kernel: 3)
        manifest.linear("time_embedding.linear_1", widths[0], timeWidth)
        manifest.linear("time_embedding.linear_2", timeWidth, timeWidth)
        addDownBlocks(to: &manifest)
        addUpBlocks(to: &manifest)
        let deepest = widths[widths.count - 1]
        addTransformer("mid_block.attentions.0", deepest, to: &manifest)
        for index in 0..<2 { manifest.resnet("mid_block.resnets.\(index)", deepest, deepest, timeWidth: timeWidth) }
        manifest.norm("conv_norm_out", widths[0])
        manifest.convolution("conv_out", widths[0], outChannels, kernel: 3)
        return manifest
    }

    private func addDownBlocks(to manifest: inout Manifest) {
        for (level, width) in widths.enumerated() {
            let block = "down_blocks.\(level)"
            for layer in 0..<layersPerBlock {
                if downAttention[level] { addTransformer("\(block).attentions.\(layer)", width, to: &manifest) }
                let input = layer == 0 ? widths[max(level - 1, 0)] : width
                manifest.resnet("\(block).resnets.\(layer)", input, width, timeWidth: timeWidth)
            }
            if level < widths.count - 1 {
                manifest.convolution("\(block).downsamplers.0.conv", width, width, kernel: 3)
            }
        }
    }

    /// Each resnet's input is the running width plus that of the skip it pops: the level's own, and for the last
    /// one that of the level above (whose downsampler, or `conv_in`, made it).
    private func addUpBlocks(to manifest: inout Manifest) {
        let reversed = Array(widths.reversed())
        for (index, width) in reversed.enumerated() {
            let block = "up_blocks.\(index)"
            for layer in 0...layersPerBlock {
                if upAttention[index] { addTransformer("\(block).attentions.\(layer)", width, to: &manifest) }
                let running = layer == 0 ? reversed[max(index - 1, 0)] : width
                let skip = layer == layersPerBlock ? reversed[min(index + 1, widths.count - 1)] : width
                manifest.resnet("\(block).resnets.\(layer)", running + skip, width, timeWidth: timeWidth)
            }
            if index < widths.count - 1 {
                manifest.convolution("\(block).upsamplers.0.conv", width, width, kernel: 3)
            }
        }
    }

    /// Transformer2DModel with one block; the feed-forward's first layer makes value and gate, 4 × width each.
    private func addTransformer(_ name: String, _ width: Int, to manifest: inout Manifest) {
        let block = name + ".transformer_blocks.0"
        manifest.norm(name + ".norm", width)
        addProjection(name + ".proj_in", width, to: &manifest)
        manifest.norm(block + ".norm1", width)
        addAttention(block + ".attn1", width, context: width, to: &manifest)
        manifest.norm(block + ".norm2", width)
        addAttention(block + ".attn2", width, context: contextWidth, to: &manifest)
        manifest.norm(block + ".norm3", width)
        manifest.linear(block + ".ff.net.0.proj", width, 8 * width)
        manifest.linear(block + ".ff.net.2", 4 * width, width)
        addProjection(name + ".proj_out", width, to: &manifest)
    }

    private func addProjection(_ name: String, _ width: Int, to manifest: inout Manifest) {
        if linearProjection {
            manifest.linear(name, width, width)
        } else {
            manifest.convolution(name, width, width, kernel: 1)
        }
    }

    private func addAttention(_ name: String, _ width: Int, context: Int, to manifest: inout Manifest) {
        manifest.linear(name + ".to_q", width, width, bias: false)
        manifest.linear(name + ".to_k", context, width, bias: false)
        manifest.linear(name + ".to_v", context, width, bias: false)
        manifest.linear(name + ".to_out.0", width, width)
    }
}
