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
    /// The numbers it was made from.
    public let config: VAEConfig
    /// What it runs on.
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

    /// Packs the weights of the encoder and of `quant_conv`.
    /// - Throws: `FileFailure` for missing or misshapen tensors.
    public convenience init(config: VAEConfig, weights: WeightStore, engine: Engine) throws {
        let build = LayerBuilder(weights: weights, engine: engine.inFloat32)
        self.init(build, config: config)
        try build.finish()
        weights.releasePages()
    }

    init(_ root: LayerBuilder, config: VAEConfig) {
        let groups = config.normNumGroups
        let build = root.at("encoder")
        let (widths, moments) = (config.widths, 2 * config.latentChannels)
        convIn = build.convolution("conv_in", config.imageChannels, widths[0])
        blocks = widths.enumerated().map { level, width in
            let block = build.at("down_blocks.\(level)")
            return DownBlock(
                resnets: (0..<config.layersPerBlock).map { layer in
                    ResnetBlock(
                        block.at("resnets.\(layer)"), inChannels: layer > 0 ? width : widths[max(level - 1, 0)],
                        outChannels: width, groups: groups, epsilon: vaeNormEps)
                },
                downsampler: level < widths.count - 1
                    ? block.convolution("downsamplers.0.conv", width, width, stride: 2, padding: .rightBottom)
                    : nil)
        }
        middle = VAEMiddle(build.at("mid_block"), config: config)
        head = VAEHead(build, widths[widths.count - 1], moments, groups: groups)
        quantConv = config.quantConv ? root.convolution("quant_conv", moments, moments, kernel: 1) : nil
        self.config = config
        engine = root.engine
    }

    /// The distributions of latents `[B, 4, H/f, W/f]` of pictures `[B, H, W, 3]`, one picture at a time.
    /// - Precondition: pictures have the configuration's channels.
    /// - Throws: `SimpleFailure(.usage)` if a side of the pictures is not a multiple of the pixel factor.
    public func encode(_ pictures: Tensor) throws -> LatentDistribution {
        let factor = config.pixelFactor
        precondition(
            pictures.shape.count == 4 && pictures.channels == config.imageChannels,
            "pictures \(pictures.shape), expected [B, H, W, \(config.imageChannels)]")
        guard pictures.shape[1] % factor == 0, pictures.shape[2] % factor == 0 else {
            throw SimpleFailure(
                .usage,
                "a picture of \(pictures.shape[2])×\(pictures.shape[1]) cannot be encoded: both sides must be "
                    + "multiples of \(factor)")
        }
        let moments = (0..<pictures.shape[0]).map { encodeOne(pictures.slice($0..<$0 + 1)).channelsFirst() }
        return LatentDistribution(moments, channels: config.latentChannels, scale: config.scalingFactor)
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

    /// A latent `[B, 4, h, w]` for the U-Net, `(mean + e^(logvar/2)·noise)·scaling_factor`; without noise the mean's.
    /// - Precondition: noise has the mean's shape.
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

extension VAEConfig {
    /// Every tensor that the two halves' layers ask for, named as diffusers names it today (`to_q`, not `query`).
    public var manifest: Manifest {
        Manifest(of: { build in
            _ = VAEEncoder(build, config: self)
            _ = VAEDecoder(build, config: self)
        })
    }
}
