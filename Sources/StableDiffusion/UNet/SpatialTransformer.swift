import Ops
import Tensors

/// Attention over the positions of a map, `Transformer2DModel` in diffusers with one transformer block:
///
///     h = proj_in(norm(x));  h += attn1(h);  h += attn2(h, text);  h += ff(h);  y = x + proj_out(h)
///
/// `x [B,h,w,C] → y [B,h,w,C]`. `proj_in` and `proj_out` are 1×1 convolutions or linear layers: the same
/// product here.
struct SpatialTransformer: Sendable {
    let norm: GroupNorm
    let projIn: Linear
    let attn1: SelfAttentionBranch
    let attn2: CrossAttentionBranch
    let feedForward: FeedForwardBranch
    let projOut: Linear
    let engine: Engine

    init(_ build: LayerBuilder, channels: Int, heads: Int, config: UNetConfig) {
        let block = build.at("transformer_blocks.0")
        // 1e-6 whatever the configuration's norm_eps is: fixed in Transformer2DModel.
        norm = build.groupNorm("norm", channels, groups: config.normNumGroups, epsilon: 1e-6)
        projIn = build.linear("proj_in", channels, channels, isConvolution: !config.linearProjection)
        attn1 = SelfAttentionBranch(block, channels: channels, heads: heads)
        attn2 = CrossAttentionBranch(
            block, channels: channels, contextChannels: config.contextWidth, heads: heads)
        feedForward = FeedForwardBranch(block, channels: channels)
        projOut = build.linear("proj_out", channels, channels, isConvolution: !config.linearProjection)
        engine = build.engine
    }

    /// The values that backward needs: `18·B·N·C` floats if all parts were computed. Parts after the hook
    /// point are nil.
    struct Saved {
        let x: Tensor
        let norm: GroupNorm.Saved
        var attn1: SelfAttentionBranch.Saved?
        var attn2: CrossAttentionBranch.Saved?
        var feedForward: FeedForwardBranch.Saved?
    }

    /// The arguments of a run beside its input.
    struct Call {
        let text: KeyValue
        /// The inner point to stop at.
        let end: InnerPoint
        let observer: BlockObserver
        /// Whether `backwardInput` will follow.
        let isDifferentiated: Bool
    }

    /// Computes up to `call.end` and returns the activation there: branches before their residual, `output`
    /// after it.
    func forward(_ x: Tensor, _ call: Call) -> (y: Tensor, saved: Saved) {
        let (end, observer) = (call.end, call.observer)
        let (normed, savedNorm) = norm.forward(x)
        var saved = Saved(x: x, norm: savedNorm)
        let tokens = (consume normed).reshaped([x.shape[0], x.shape[1] * x.shape[2], x.channels])
        var hidden = projIn.forward(consume tokens)
        hidden = observer.see(.projIn, hidden) ?? hidden
        if end == .projIn { return (hidden, saved) }

        /// `h += branch(h)`; at the end of the walk `h = branch(h)`. The sum is part of the branch's last
        /// product unless the branch itself is looked at.
        func add<S>(
            _ point: InnerPoint, _ branch: (_ x: Tensor, _ residual: Tensor?) -> (y: Tensor, saved: S)
        ) -> S {
            let isSeen = end == point || observer.looks(at: point)
            let (y, saved) = branch(hidden, isSeen ? nil : hidden)
            hidden =
                isSeen && end != point
                ? Elementwise.add(hidden, observer.see(point, y) ?? y, engine: engine) : y
            return saved
        }

        saved.attn1 = add(.attn1) { attn1.forward($0, adding: $1) }
        if end == .attn1 { return (hidden, saved) }
        saved.attn2 = add(.attn2) { attn2.forward($0, text: call.text, adding: $1) }
        if end == .attn2 { return (hidden, saved) }
        saved.feedForward = add(.feedForward) { feedForward.forward($0, adding: $1, keeping: call.isDifferentiated) }
        if end == .feedForward { return (hidden, saved) }
        hidden = observer.see(.block, hidden) ?? hidden
        if end == .block { return (hidden, saved) }
        let tokensOut = projOut.forward(hidden, adding: x.reshaped(hidden.shape))
        return (tokensOut.reshaped(x.shape), saved)
    }

    /// The gradient at `x` from the gradient `dy` at the activation that `forward(upTo: start)` returned.
    func backwardInput(_ dy: Tensor, saved: Saved, from start: InnerPoint = .output) -> Tensor {
        let tokens = [saved.x.shape[0], saved.x.shape[1] * saved.x.shape[2], saved.x.channels]
        var d = dy.reshaped(tokens)
        if start == .output { d = projOut.backwardInput(d) }
        // A gradient that starts at a branch has no part that goes past it.
        if start >= .feedForward, let part = saved.feedForward {
            d = feedForward.backwardInput(d, saved: part, adding: start == .feedForward ? nil : d)
        }
        if start >= .attn2, let part = saved.attn2 {
            d = attn2.backwardInput(d, saved: part, adding: start == .attn2 ? nil : d)
        }
        if start >= .attn1, let part = saved.attn1 {
            d = attn1.backwardInput(d, saved: part, adding: start == .attn1 ? nil : d)
        }
        let dNormed = projIn.backwardInput(d).reshaped(saved.x.shape)
        return norm.backwardInput(
            consume dNormed, x: saved.x, saved: saved.norm,
            adding: start == .output ? dy.reshaped(saved.x.shape) : nil)
    }
}
