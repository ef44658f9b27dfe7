import Ops
import StableDiffusion
import Tensors

/// A hook point of the U-Net at one time step, under one text. Whatever depends on these alone is computed
/// once.
public struct UNetLayer: DreamLayer {
    /// Loaded up to `hook` at least.
    public let unet: UNet
    /// Where the forward pass ends.
    public let hook: HookPoint
    /// The time step.
    public let time: TimeConditioning
    /// The text.
    public let text: TextConditioning
    /// Per block, what the forward pass keeps for the backward pass.
    public let policies: [GradientCheckpointing]

    /// - Parameters:
    ///   - unet: loaded up to `hook` at least.
    ///   - policies: per block, what the forward pass keeps for the backward pass; the rest keeps everything.
    public init(
        unet: UNet, hook: HookPoint, time: TimeConditioning, text: TextConditioning, policies: [GradientCheckpointing] = []
    ) {
        self.unet = unet
        self.hook = hook
        self.time = time
        self.text = text
        self.policies = policies
    }

    /// The U-Net's.
    public var engine: Engine { unet.engine }

    /// The layer's output `[B, N, C]` for latents `[B, 4, H, W]`, without what a gradient needs.
    public func activation(_ latent: Tensor) -> Tensor { unet.activation(latent, at: hook, time: time, text: text) }

    /// The layer's output `[B, N, C]` for latents `[B, 4, H, W]`, and the vector-Jacobian product
    /// there, which may be taken once.
    public func forward(_ latent: Tensor) -> (activation: Tensor, vjp: (_ gradient: Tensor) -> Tensor) {
        let trace = unet.forward(latent, to: hook, time: time, text: text, policies: policies)
        return (trace.activation, { unet.backward(trace, gradient: $0) })
    }
}
