import Ops
import StableDiffusion
import Tensors

/// A hook point of the U-Net at one time step, under one text. What depends on these alone was computed before.
public struct UNetLayer: DreamLayer {
    public let unet: UNet
    public let hook: HookPoint
    public let time: TimeConditioning
    public let text: TextConditioning
    /// Per block, what the forward pass keeps for the backward pass.
    public let policies: [GradientCheckpointing]

    public init(
        unet: UNet, hook: HookPoint, time: TimeConditioning, text: TextConditioning, policies: [GradientCheckpointing] = []
    ) {
        self.unet = unet
        self.hook = hook
        self.time = time
        self.text = text
        self.policies = policies
    }

    public var engine: Engine { unet.engine }

    public func activation(_ latent: Tensor) -> Tensor { unet.activation(latent, at: hook, time: time, text: text) }

    public func forward(_ latent: Tensor) -> (activation: Tensor, pullBack: (_ gradient: Tensor) -> Tensor) {
        let trace = unet.forward(latent, to: hook, time: time, text: text, policies: policies)
        return (trace.activation, { unet.backward(trace, gradient: $0) })
    }
}
