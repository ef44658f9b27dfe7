import Ops
import Tensors

/// The feed-forward branch of a transformer block, `ff(norm3(x))`:
///
///     [value | gate] = proj(norm3(x))          C → 8C
///     y = out(value · gelu(gate))              4C → C, exact erf GELU
struct FeedForwardBranch: Sendable {
    let norm: LayerNorm
    let proj: Linear
    let out: Linear
    let engine: Engine

    init(_ build: LayerBuilder, channels: Int) {
        norm = build.layerNorm("norm3", channels)
        proj = build.linear("ff.net.0.proj", channels, 8 * channels)
        out = build.linear("ff.net.2", 4 * channels, channels)
        engine = build.engine
    }

    /// `9·B·N·C` floats beside the statistics; `projected`, eight of them, only if a gradient will follow.
    struct Saved {
        let x: Tensor
        let norm: LayerNorm.Saved
        let projected: Tensor?
    }

    func forward(_ x: Tensor, adding residual: Tensor?, keeping: Bool) -> (y: Tensor, saved: Saved) {
        let (normed, savedNorm) = norm.forward(x)
        let (gated, projected) = proj.forwardGated(consume normed, keeping: keeping)
        let y = out.forward(consume gated, adding: residual)
        return (y, Saved(x: x, norm: savedNorm, projected: projected))
    }

    func backwardInput(_ dy: Tensor, saved: Saved, adding residual: Tensor?) -> Tensor {
        guard let projected = saved.projected else { preconditionFailure("this forward pass kept nothing") }
        let dProjected = GEGLU.backwardInput(out.backwardInput(dy), x: projected, engine: engine)
        return norm.backwardInput(
            proj.backwardInput(consume dProjected), x: saved.x, saved: saved.norm, adding: residual)
    }
}
