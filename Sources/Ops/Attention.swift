import KernelInterface
import Tensors

/// Softmax attention of several heads: per sample and head `out = softmax(scale·Q·Kᵀ)·V`.
///
/// Query and out are `[B, N, heads·d]`, key and value `[B, T, heads·d]`, or `[1, T, heads·d]` for a context that all
/// samples share. The N×T scores never exist as a whole. Cost: 4·B·N·T·heads·d flop forward, 10·B·N·T·heads·d for all
/// gradients, 6·B·N·T·heads·d for the query's alone. Every task works on sizes given by the shapes: results do not
/// depend on the number of threads.
public enum Attention {
    /// What backward needs beside the inputs and the output: two floats per query and head (`AttentionKernels`).
    public struct Saved: Sendable {
        let softmax: Tensor
    }

    /// `softmax(scale·Q·Kᵀ)·V` per sample and head, in query's shape.
    ///
    /// - Parameters:
    ///   - query: `[B, N, heads·d]`.
    ///   - key, value: `[B, T, heads·d]`, or `[1, T, heads·d]` for a context that all samples share.
    ///   - causal: whether query n sees keys 0…n only.
    ///   - scale: nil for 1/√d.
    /// - Precondition: the shapes are these, and N = T if `causal`.
    public static func forward(
        query: Tensor, key: Tensor, value: Tensor, heads: Int, causal: Bool = false, scale: Float? = nil, engine: Engine
    ) -> (out: Tensor, saved: Saved) {
        let call = AttentionCall(query, key, value, heads, causal, scale, engine)
        let kernels = engine.attention
        let keyTokens = call.packed(key, kernels.packTokens)
        let valueChannels = call.packed(value, kernels.packChannels)
        let scratch = call.scratch(kernels.scratchCount(call.head.width))
        let out = Tensor(query.shape, in: engine.workspace)
        let softmax = Tensor([call.samples, heads, 2, call.queries], in: engine.workspace)
        call.forEachQueryBlock { at, rows, worker in
            kernels.forward(
                call.head, query.pointer + call.queryOffset(at), rows, call.pointer(keyTokens, at),
                call.pointer(valueChannels, at), call.keys, out.pointer + call.queryOffset(at),
                softmax.pointer + 2 * at * call.queries, call.queries, scratch.pointer + worker * scratch.channels)
        }
        return (out, Saved(softmax: softmax))
    }

    /// Gradients of query, key and value.
    ///
    /// - Precondition: the context is not shared, key's batch is the query's; dOut and out have query's shape, and `saved`
    ///   is of the forward pass that made `out`.
    public static func backwardInput(
        _ dOut: Tensor, query: Tensor, key: Tensor, value: Tensor, out: Tensor, saved: Saved, heads: Int,
        causal: Bool = false, scale: Float? = nil, engine: Engine
    ) -> (dQuery: Tensor, dKey: Tensor, dValue: Tensor) {
        let call = AttentionCall(query, key, value, heads, causal, scale, engine)
        precondition(key.shape[0] == call.samples, "attention backward: key \(key.shape) for query \(query.shape)")
        let gradient = AttentionGradient(
            call: call, query: query, key: key, value: value, dOut: dOut, softmax: saved.softmax,
            delta: call.delta(dOut, query, out, saved), engine: engine)
        gradient.run()
        return (gradient.dQuery, gradient.dKey, gradient.dValue)
    }

    /// The gradient of the query alone: for cross-attention, whose text context needs none.
    ///
    /// - Precondition: dOut and out have query's shape, and `saved` is of the forward pass that made `out`.
    public static func backwardQuery(
        _ dOut: Tensor, query: Tensor, key: Tensor, value: Tensor, out: Tensor, saved: Saved, heads: Int,
        causal: Bool = false, scale: Float? = nil, engine: Engine
    ) -> Tensor {
        let call = AttentionCall(query, key, value, heads, causal, scale, engine)
        let kernels = engine.attention
        let delta = call.delta(dOut, query, out, saved)
        let keyTokens = call.packed(key, kernels.packTokens)
        let valueTokens = call.packed(value, kernels.packTokens)
        let keyChannels = call.packed(key, kernels.packChannels)
        let scratch = call.scratch(kernels.scratchCount(call.head.width))
        let dQuery = Tensor(query.shape, in: engine.workspace)
        call.forEachQueryBlock { at, rows, worker in
            let q = call.queryOffset(at)
            kernels.backwardQuery(
                call.head, query.pointer + q, dOut.pointer + q, rows, call.pointer(keyTokens, at),
                call.pointer(valueTokens, at), call.pointer(keyChannels, at), call.keys,
                saved.softmax.pointer + 2 * at * call.queries, call.queries, delta.pointer + at * call.queries,
                dQuery.pointer + q, scratch.pointer + worker * scratch.channels)
        }
        return dQuery
    }
}
