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

    init(_ build: LayerBuilder, channels: Int) throws {
        norm = try build.layerNorm("norm3", channels)
        proj = try build.linear("ff.net.0.proj", channels, 8 * channels)
        out = try build.linear("ff.net.2", 4 * channels, channels)
        engine = build.engine
    }

    /// `9·B·N·C` floats beside the statistics.
    struct Saved {
        let x: Tensor
        let norm: LayerNorm.Saved
        let projected: Tensor
    }

    func forward(_ x: Tensor, adding residual: Tensor?) -> (y: Tensor, saved: Saved) {
        let (normed, savedNorm) = norm.forward(x)
        let projected = proj.forward(consume normed)
        let y = out.forward(GEGLU.forward(projected, engine: engine), adding: residual)
        return (y, Saved(x: x, norm: savedNorm, projected: projected))
    }

    func backwardInput(_ dy: Tensor, saved: Saved, adding residual: Tensor?) -> Tensor {
        let dProjected = GEGLU.backwardInput(out.backwardInput(dy), x: saved.projected, engine: engine)
        return norm.backwardInput(
            proj.backwardInput(consume dProjected), x: saved.x, saved: saved.norm, adding: residual)
    }
}
