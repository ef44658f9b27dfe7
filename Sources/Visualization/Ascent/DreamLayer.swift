import Ops
import Tensors

/// A layer's activation as a function of the latent, with the gradient back.
public protocol DreamLayer {
    var engine: Engine { get }

    /// The activation `[B, N, D]` of latents `[B, 4, H, W]`.
    func activation(_ latent: Tensor) -> Tensor

    /// The activation, and what turns a gradient there into one at the latent; to be called at most once.
    func forward(_ latent: Tensor) -> (activation: Tensor, pullBack: (_ gradient: Tensor) -> Tensor)
}
