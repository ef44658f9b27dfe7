import Checkpoints
import Files
import Foundation
import Ops
import Tensors

/// From pictures to latents, the encoding half of `AutoencoderKL`:
///
///     mean | logvar = quant_conv(head(middle(down blocks(conv_in(x)))))
///
/// Pictures `[B, H, W, 3]` in −1…1 whose sides are multiples of the pixel factor f; latents `[B, 4, H/f, W/f]`.
public final class VAEEncoder: Sendable {
    public let config: VAEConfig
    public let engine: Engine
    private let convIn: Convolution
    private let blocks: [DownBlock]
    private let middle: VAEMiddle
    private let head: VAEHead
    private let quantConv: Convolution?

    private struct DownBlock: Sendable {
        let resnets: [ResnetBlock]
        /// Stride 2, padded at the right and bottom only: the U-Net's pads all around.
        let downsampler: Convolution?
    }

    /// - Throws: `FileFailure` for missing or misshapen tensors.
    public init(config: VAEConfig, weights: WeightStore, engine: Engine) throws {
        let (layout, groups) = (config.layout, config.normNumGroups)
        let root = LayerBuilder(weights: weights, engine: engine)
        let build = root.at("encoder")
        let (widths, moments) = (layout.widths, 2 * layout.latentChannels)
        convIn = try build.convolution("conv_in", layout.imageChannels, widths[0])
        blocks = try widths.enumerated().map { level, width in
            let block = build.at("down_blocks.\(level)")
            return DownBlock(
                resnets: try (0..<layout.layersPerBlock).map { layer in
                    try ResnetBlock(
                        block.at("resnets.\(layer)"), inChannels: layer > 0 ? width : widths[max(level - 1, 0)],
                        outChannels: width, groups: groups, epsilon: vaeNormEps)
                },
                downsampler: level < widths.count - 1
                    ? try block.convolution("downsamplers.0.conv", width, width, stride: 2, padding: .rightBottom)
                    : nil)
        }
        middle = try VAEMiddle(build.at("mid_block"), config: config)
        head = try VAEHead(build, widths[widths.count - 1], moments, groups: groups)
        quantConv = layout.quantConv ? try root.convolution("quant_conv", moments, moments, kernel: 1) : nil
        self.config = config
        self.engine = engine
        weights.releasePages()
    }

    /// - Throws: `SimpleFailure(.usage)` if a side of the pictures is not a multiple of the pixel factor.
    public func encode(_ pictures: Tensor) throws -> LatentDistribution {
        let factor = config.pixelFactor
        precondition(
            pictures.shape.count == 4 && pictures.channels == config.layout.imageChannels,
            "pictures \(pictures.shape), expected [B, H, W, \(config.layout.imageChannels)]")
        guard pictures.shape[1] % factor == 0, pictures.shape[2] % factor == 0 else {
            throw SimpleFailure(
                .usage,
                "a picture of \(pictures.shape[2])×\(pictures.shape[1]) cannot be encoded: both sides must be "
                    + "multiples of \(factor)")
        }
        let moments = (0..<pictures.shape[0]).map { encodeOne(pictures.slice($0..<$0 + 1)).channelsFirst() }
        return LatentDistribution(moments, channels: config.layout.latentChannels, scale: config.scalingFactor)
    }

    private func encodeOne(_ picture: Tensor) -> Tensor {
        var x = convIn.forward(picture)
        for block in blocks {
            for resnet in block.resnets { x = resnet.infer(consume x) }
            if let downsampler = block.downsampler { x = downsampler.forward(x) }
            engine.workspace.trim()
        }
        x = head.infer(middle.infer(consume x))
        return quantConv?.forward(x) ?? x
    }
}

/// What the encoder says of a picture: a normal distribution of latents, independent per number. Not scaled.
public struct LatentDistribution: Sendable {
    /// `[B, 4, h, w]`
    public let mean: Tensor
    /// `[B, 4, h, w]`, clamped to −30…20 as in diffusers' `DiagonalGaussianDistribution`.
    public let logvar: Tensor
    /// The model's `scaling_factor`.
    public let scale: Float

    /// - Parameter moments: per picture `[1, 2·channels, h, w]`, mean before logarithm of variance.
    init(_ moments: [Tensor], channels: Int, scale: Float) {
        let shape = [moments.count, channels] + moments[0].shape[2...]
        let size = shape[1...].reduce(1, *)
        (mean, logvar) = (Tensor(shape), Tensor(shape))
        for (sample, moment) in moments.enumerated() {
            (mean.pointer + sample * size).update(from: moment.pointer, count: size)
            for i in 0..<size { logvar.pointer[sample * size + i] = min(max(moment.pointer[size + i], -30), 20) }
        }
        self.scale = scale
    }

    /// A latent for the U-Net, `(mean + e^(logvar/2)·noise)·scaling_factor`; without noise the mean's.
    public func latent(noise: Tensor? = nil) -> Tensor {
        precondition(noise == nil || noise?.shape == mean.shape, "noise for latents \(mean.shape)")
        let result = Tensor(mean.shape)
        for i in 0..<mean.count {
            let deviation = noise.map { exp(logvar.pointer[i] / 2) * $0.pointer[i] } ?? 0
            result.pointer[i] = (mean.pointer[i] + deviation) * scale
        }
        return result
    }
}
