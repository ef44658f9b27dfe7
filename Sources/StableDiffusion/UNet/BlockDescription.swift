/// One entry of the U-Net's ordered list: a module's kind, sizes and connections, known from the
/// configuration alone.
///
/// The list is the network. Walked forward it computes the output; walked backward it takes a gradient to the
/// latent. Legend: `B` batch, `H W` latent height and width, `N = h·w` positions of a level, `C` channels.
public struct BlockDescription: Sendable, Equatable {
    /// What a block computes: a 3×3 convolution (the first, or with stride 2, or after doubling), two of them
    /// with a residual, attention, or the last norm and convolution.
    public enum Kind: String, Sendable {
        case convolutionIn, resnet, transformer, downsample, upsample, output
    }

    /// The module's name as in the checkpoint, `up_blocks.1.attentions.1`. The output block, which is the two
    /// modules `conv_norm_out` and `conv_out`, goes by the second.
    public let name: String
    /// The kind of computation.
    public let kind: Kind
    /// Its number among the blocks of its kind, in order of computation from 0.
    public let ordinal: Int
    /// Channels that arrive from the block before.
    public let inChannels: Int
    /// Channels of the skip that is concatenated after them: `[hidden | skip]`; 0 if none is taken.
    public let skipChannels: Int
    /// Channels of the result.
    public let outChannels: Int
    /// Attention heads (transformers only).
    public let heads: Int
    /// How many times the latent has been halved where this block computes its output.
    public let level: Int
    /// Index of the block whose output is the skip taken here; nil where none is.
    public let skipSource: Int?
    /// Whether a later block takes this block's output as its skip.
    public let isSkipSource: Bool

    /// The size of a map at `level` for a latent of `height × width`: every halving rounds up, as a 3×3
    /// convolution of stride 2 with padding 1 does.
    package static func mapSize(_ height: Int, _ width: Int, level: Int) -> (height: Int, width: Int) {
        (0..<level).reduce((height, width)) { size, _ in ((size.0 + 1) / 2, (size.1 + 1) / 2) }
    }
}

extension UNetConfig {
    /// Every block in order of computation, wired as in diffusers' `UNet2DConditionModel`.
    public func blocks() -> [BlockDescription] {
        var list = BlockList()
        list.append("conv_in", .convolutionIn, inChannels, widths[0], level: 0, isSkip: true)
        for level in widths.indices { addDownLevel(level, to: &list) }
        let (deepest, bottom) = (widths.count - 1, widths[widths.count - 1])
        if hasMiddle {
            list.append("mid_block.resnets.0", .resnet, bottom, bottom, level: deepest)
            list.append("mid_block.attentions.0", .transformer, bottom, bottom, heads: heads[deepest], level: deepest)
            list.append("mid_block.resnets.1", .resnet, bottom, bottom, level: deepest)
        }
        for level in widths.indices.reversed() { addUpLevel(level, to: &list) }
        list.append("conv_out", .output, widths[0], outChannels, level: 0)
        return list.blocks
    }

    /// Every resnet's result (after attention where there is one) and the downsampler's go to the way up as
    /// skips.
    private func addDownLevel(_ level: Int, to list: inout BlockList) {
        let (path, width, attends) = ("down_blocks.\(level)", widths[level], downAttention[level])
        for layer in 0..<layersPerBlock {
            let input = layer > 0 ? width : widths[max(level - 1, 0)]
            list.append("\(path).resnets.\(layer)", .resnet, input, width, level: level, isSkip: !attends)
            if attends {
                list.append(
                    "\(path).attentions.\(layer)", .transformer, width, width, heads: heads[level], level: level,
                    isSkip: true)
            }
        }
        if level < widths.count - 1 {
            list.append("\(path).downsamplers.0", .downsample, width, width, level: level + 1, isSkip: true)
        }
    }

    private func addUpLevel(_ level: Int, to list: inout BlockList) {
        let deepest = widths.count - 1
        let (path, width) = ("up_blocks.\(deepest - level)", widths[level])
        for layer in 0...layersPerBlock {
            let input = layer > 0 ? width : widths[min(level + 1, deepest)]
            list.append("\(path).resnets.\(layer)", .resnet, input, width, level: level, takesSkip: true)
            if upAttention[deepest - level] {
                list.append(
                    "\(path).attentions.\(layer)", .transformer, width, width, heads: heads[level], level: level)
            }
        }
        if level > 0 { list.append("\(path).upsamplers.0", .upsample, width, width, level: level - 1) }
    }
}

/// Appends blocks and pairs every skip with the block that made it: last in, first out.
private struct BlockList {
    var blocks: [BlockDescription] = []
    private var skips: [(block: Int, channels: Int)] = []
    private var counts: [BlockDescription.Kind: Int] = [:]

    mutating func append(
        _ name: String, _ kind: BlockDescription.Kind, _ input: Int, _ output: Int, heads: Int = 0, level: Int,
        isSkip: Bool = false, takesSkip: Bool = false
    ) {
        let skip = takesSkip ? skips.removeLast() : nil
        if isSkip { skips.append((blocks.count, output)) }
        blocks.append(
            BlockDescription(
                name: name, kind: kind, ordinal: counts[kind, default: 0], inChannels: input,
                skipChannels: skip?.channels ?? 0, outChannels: output, heads: heads, level: level,
                skipSource: skip?.block, isSkipSource: isSkip))
        counts[kind, default: 0] += 1
    }
}
