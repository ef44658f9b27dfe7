import Checkpoints
import Ops
import Tensors

/// From latents to pictures, the decoding half of `AutoencoderKL`:
///
///     x = head(up blocks(middle(conv_in(post_quant_conv(z / scaling_factor)))))
///
/// Latents `[B, 4, h, w]` as the U-Net has them, pictures `[B, f·h, f·w, 3]`, nominally −1…1, f the pixel factor.
public final class VAEDecoder: Sendable {
    /// The numbers it was made from.
    public let config: VAEConfig
    /// What it runs on.
    public let engine: Engine
    private let postQuantConv: Convolution?
    private let convIn: Convolution
    private let middle: VAEMiddle
    private let blocks: [UpBlock]
    private let head: VAEHead

    private struct UpBlock: Sendable {
        let resnets: [ResnetBlock]
        /// 3×3 after nearest doubling; the last block has none.
        let upsampler: Convolution?
    }

    /// Packs the weights of the decoder and of `post_quant_conv`.
    /// - Throws: `FileFailure` for missing or misshapen tensors.
    public convenience init(config: VAEConfig, weights: WeightStore, engine: Engine) throws {
        let build = LayerBuilder(weights: weights, engine: engine)
        self.init(build, config: config)
        try build.finish()
        weights.releasePages()
    }

    init(_ root: LayerBuilder, config: VAEConfig) {
        let (groups, channels) = (config.normNumGroups, config.latentChannels)
        let build = root.at("decoder")
        let widths = Array(config.widths.reversed())
        postQuantConv =
            config.postQuantConv ? root.inFloat32.convolution("post_quant_conv", channels, channels, kernel: 1) : nil
        convIn = build.inFloat32.convolution("conv_in", channels, widths[0])
        middle = VAEMiddle(build.at("mid_block"), config: config)
        blocks = widths.enumerated().map { index, width in
            let block = build.at("up_blocks.\(index)")
            return UpBlock(
                resnets: (0...config.layersPerBlock).map { layer in
                    ResnetBlock(
                        block.at("resnets.\(layer)"), inChannels: layer > 0 ? width : widths[max(index - 1, 0)],
                        outChannels: width, groups: groups, epsilon: vaeNormEps)
                },
                upsampler: index < widths.count - 1
                    ? block.convolution("upsamplers.0.conv", width, width) : nil)
        }
        head = VAEHead(build.inFloat32, config.widths[0], config.imageChannels, groups: groups)
        self.config = config
        engine = root.engine
    }

    /// The pictures `[B, f·h, f·w, 3]` of latents `[B, 4, h, w]`.
    ///
    /// Pictures are decoded one by one: a map of one 512×512 picture is 268 MB at the widest place.
    /// - Precondition: latents have the configuration's channels.
    public func decode(_ latent: Tensor) -> Tensor {
        precondition(
            latent.shape.count == 4 && latent.shape[1] == config.latentChannels,
            "latent \(latent.shape), expected [B, \(config.latentChannels), h, w]")
        let (batch, factor) = (latent.shape[0], config.pixelFactor)
        let pictures = Tensor(
            [batch, latent.shape[2] * factor, latent.shape[3] * factor, config.imageChannels])
        for sample in 0..<batch {
            let picture = decodeOne(latent.slice(sample..<sample + 1))
            pictures.slice(sample..<sample + 1).pointer.update(from: picture.pointer, count: picture.count)
        }
        return pictures
    }

    private func decodeOne(_ latent: Tensor) -> Tensor {
        var x = Elementwise.scale(latent.channelsLast(), by: 1 / config.scalingFactor, engine: engine)
        if let postQuantConv { x = postQuantConv.forward(x) }
        x = middle.infer(convIn.forward(x))
        for block in blocks {
            for resnet in block.resnets { x = resnet.infer(consume x) }
            if let upsampler = block.upsampler {
                let size = (2 * x.shape[1], 2 * x.shape[2])
                let wide = Resample.upsampleNearest(consume x, to: size, engine: engine)
                x = upsampler.forward(consume wide)
            }
            // The next level's maps are of other sizes: what this one used is of no use to it.
            engine.workspace.trim()
        }
        return head.infer(consume x)
    }
}
