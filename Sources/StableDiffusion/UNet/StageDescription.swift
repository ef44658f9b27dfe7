/// One entry of the U-Net's ordered list: what a module is and how it is connected, known from the configuration alone.
///
/// The list is the network. Walked forward it computes the output; walked backward it takes a gradient to the latent.
/// Legend: `B` batch, `H W` latent height and width, `N = h·w` positions of a level, `C` channels.
public struct StageDescription: Sendable, Equatable {
    public enum Kind: String, Sendable {
        case convolutionIn, resnet, transformer, downsample, upsample, output
    }

    /// The module's name as in the checkpoint, `up_blocks.1.attentions.1`. The output stage, which is the two modules
    /// `conv_norm_out` and `conv_out`, goes by the second.
    public let name: String
    public let kind: Kind
    /// Channels that arrive from the stage before.
    public let inChannels: Int
    /// Channels of the skip that is concatenated behind them: `[hidden | skip]`; 0 if none is taken.
    public let skipChannels: Int
    public let outChannels: Int
    /// Attention heads (transformers only).
    public let heads: Int
    /// How many times the latent has been halved where this stage computes its output.
    public let level: Int
    /// The stage whose output is the skip taken here.
    public let skipSource: Int?
    /// Whether a later stage takes this stage's output as its skip.
    public let isSkipSource: Bool

    /// The size of a map at `level` for a latent of `height × width`: every halving rounds up, as a 3×3 convolution of
    /// stride 2 with padding 1 does.
    public static func mapSize(_ height: Int, _ width: Int, level: Int) -> (height: Int, width: Int) {
        (0..<level).reduce((height, width)) { size, _ in ((size.0 + 1) / 2, (size.1 + 1) / 2) }
    }
}

extension UNetConfig {
    /// Every stage in order of computation. Block structure as in diffusers' `UNet2DConditionModel`.
    public func stages() -> [StageDescription] {
        var list = StageList()
        list.append("conv_in", .convolutionIn, layout.inChannels, layout.widths[0], level: 0, isSkip: true)
        for level in layout.widths.indices { addDownBlock(level, to: &list) }
        let (deepest, bottom) = (layout.widths.count - 1, layout.widths[layout.widths.count - 1])
        list.append("mid_block.resnets.0", .resnet, bottom, bottom, level: deepest)
        list.append("mid_block.attentions.0", .transformer, bottom, bottom, heads: heads[deepest], level: deepest)
        list.append("mid_block.resnets.1", .resnet, bottom, bottom, level: deepest)
        for level in layout.widths.indices.reversed() { addUpBlock(level, to: &list) }
        list.append("conv_out", .output, layout.widths[0], layout.outChannels, level: 0)
        return list.stages
    }

    /// Every layer's result (after attention where there is one) and the downsampler's go to the way up as skips.
    private func addDownBlock(_ level: Int, to list: inout StageList) {
        let (path, width, attends) = ("down_blocks.\(level)", layout.widths[level], layout.downAttention[level])
        for layer in 0..<layout.layersPerBlock {
            let input = layer > 0 ? width : layout.widths[max(level - 1, 0)]
            list.append("\(path).resnets.\(layer)", .resnet, input, width, level: level, isSkip: !attends)
            if attends {
                list.append(
                    "\(path).attentions.\(layer)", .transformer, width, width, heads: heads[level], level: level,
                    isSkip: true)
            }
        }
        if level < layout.widths.count - 1 {
            list.append("\(path).downsamplers.0", .downsample, width, width, level: level + 1, isSkip: true)
        }
    }

    private func addUpBlock(_ level: Int, to list: inout StageList) {
        let deepest = layout.widths.count - 1
        let (path, width) = ("up_blocks.\(deepest - level)", layout.widths[level])
        for layer in 0...layout.layersPerBlock {
            let input = layer > 0 ? width : layout.widths[min(level + 1, deepest)]
            list.append("\(path).resnets.\(layer)", .resnet, input, width, level: level, takesSkip: true)
            if layout.upAttention[deepest - level] {
                list.append(
                    "\(path).attentions.\(layer)", .transformer, width, width, heads: heads[level], level: level)
            }
        }
        if level > 0 { list.append("\(path).upsamplers.0", .upsample, width, width, level: level - 1) }
    }
}

/// Appends stages and pairs every skip with the stage that made it: last in, first out.
private struct StageList {
    var stages: [StageDescription] = []
    private var skips: [(stage: Int, channels: Int)] = []

    mutating func append(
        _ name: String, _ kind: StageDescription.Kind, _ input: Int, _ output: Int, heads: Int = 0, level: Int,
        isSkip: Bool = false, takesSkip: Bool = false
    ) {
        let skip = takesSkip ? skips.removeLast() : nil
        if isSkip { skips.append((stages.count, output)) }
        stages.append(
            StageDescription(
                name: name, kind: kind, inChannels: input, skipChannels: skip?.channels ?? 0, outChannels: output,
                heads: heads, level: level, skipSource: skip?.stage, isSkipSource: isSkip))
    }
}
