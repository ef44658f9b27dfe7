import Ops
import Tensors

/// Keys and values of a text for one cross-attention, `[B or 1, T, C]` each: they depend on the text alone, so they
/// are computed once per text and not per step.
struct KeyValue: Sendable {
    let key: Tensor
    let value: Tensor
}

/// The self-attention branch of a transformer block, `attn1(norm1(x))`: `to_out(softmax(q kᵀ/√d) v)` per head.
/// `x [B,N,C] → [B,N,C]`; q, k, v without bias, `to_out.0` with.
struct SelfAttentionBranch: Sendable {
    let norm: LayerNorm
    let toQ, toK, toV, toOut: Linear
    let heads: Int
    let engine: Engine

    init(_ build: LayerBuilder, channels: Int, heads: Int) {
        let attention = build.at("attn1")
        norm = build.layerNorm("norm1", channels)
        toQ = attention.linear("to_q", channels, channels, bias: false)
        toK = attention.linear("to_k", channels, channels, bias: false)
        toV = attention.linear("to_v", channels, channels, bias: false)
        toOut = attention.linear("to_out.0", channels, channels)
        self.heads = heads
        engine = build.engine
    }

    /// `5·B·N·C` floats beside the statistics: the attention matrix itself is recomputed in tiles.
    struct Saved {
        let x: Tensor
        let norm: LayerNorm.Saved
        let query, key, value, mixed: Tensor
        let softmax: Attention.Saved
    }

    /// - Parameter residual: added to the result if given (the block's own residual, fused into the last product).
    func forward(_ x: Tensor, adding residual: Tensor?) -> (y: Tensor, saved: Saved) {
        let (normed, savedNorm) = norm.forward(x)
        let (query, key, value) = (toQ.forward(normed), toK.forward(normed), toV.forward(consume normed))
        let (mixed, softmax) = Attention.forward(query: query, key: key, value: value, heads: heads, engine: engine)
        let y = toOut.forward(mixed, adding: residual)
        let saved = Saved(
            x: x, norm: savedNorm, query: query, key: key, value: value, mixed: mixed, softmax: softmax)
        return (y, saved)
    }

    /// - Parameter residual: the gradient that reaches `x` past the branch.
    func backwardInput(_ dy: Tensor, saved: Saved, adding residual: Tensor?) -> Tensor {
        let (dQuery, dKey, dValue) = Attention.backwardInput(
            toOut.backwardInput(dy), query: saved.query, key: saved.key, value: saved.value, out: saved.mixed,
            saved: saved.softmax, heads: heads, engine: engine)
        var dNormed = toV.backwardInput(dValue)
        dNormed = toK.backwardInput(dKey, adding: dNormed)
        dNormed = toQ.backwardInput(dQuery, adding: dNormed)
        return norm.backwardInput(dNormed, x: saved.x, saved: saved.norm, adding: residual)
    }
}

/// The cross-attention branch, `attn2(norm2(x), text)`: as above with keys and values from the text `[B or 1, T, Ct]`.
/// The text needs no gradient.
struct CrossAttentionBranch: Sendable {
    let norm: LayerNorm
    let toQ, toK, toV, toOut: Linear
    let heads: Int
    let engine: Engine

    init(_ build: LayerBuilder, channels: Int, contextChannels: Int, heads: Int) {
        let attention = build.at("attn2")
        norm = build.layerNorm("norm2", channels)
        toQ = attention.linear("to_q", channels, channels, bias: false)
        toK = attention.linear("to_k", contextChannels, channels, bias: false)
        toV = attention.linear("to_v", contextChannels, channels, bias: false)
        toOut = attention.linear("to_out.0", channels, channels)
        self.heads = heads
        engine = build.engine
    }

    func keyValue(_ context: Tensor) -> KeyValue {
        KeyValue(key: toK.forward(context), value: toV.forward(context))
    }

    /// `3·B·N·C` floats beside the statistics.
    struct Saved {
        let x: Tensor
        let norm: LayerNorm.Saved
        let query, mixed: Tensor
        let softmax: Attention.Saved
        let text: KeyValue
    }

    func forward(_ x: Tensor, text: KeyValue, adding residual: Tensor?) -> (y: Tensor, saved: Saved) {
        let (normed, savedNorm) = norm.forward(x)
        let query = toQ.forward(consume normed)
        let (mixed, softmax) = Attention.forward(
            query: query, key: text.key, value: text.value, heads: heads, engine: engine)
        let y = toOut.forward(mixed, adding: residual)
        return (y, Saved(x: x, norm: savedNorm, query: query, mixed: mixed, softmax: softmax, text: text))
    }

    func backwardInput(_ dy: Tensor, saved: Saved, adding residual: Tensor?) -> Tensor {
        let dQuery = Attention.backwardQuery(
            toOut.backwardInput(dy), query: saved.query, key: saved.text.key, value: saved.text.value,
            out: saved.mixed, saved: saved.softmax, heads: heads, engine: engine)
        return norm.backwardInput(
            toQ.backwardInput(dQuery), x: saved.x, saved: saved.norm, adding: residual)
    }
}
