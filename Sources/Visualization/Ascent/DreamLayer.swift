import Ops
import Tensors

/// A layer's activation as a function of the latent, with the gradient back.
public protocol DreamLayer {
    var engine: Engine { get }

    /// The activation `[B, N, D]` of latents `[B, 4, H, W]`.
    func activation(_ latent: Tensor) -> Tensor

    /// The activation and its vector-Jacobian product: the gradient at the latent from the one at the activation. It may
    /// be taken once.
    func forward(_ latent: Tensor) -> (activation: Tensor, vjp: (_ gradient: Tensor) -> Tensor)
}
