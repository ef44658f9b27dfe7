import KernelInterface
import Tensors

/// The sizes of one call of `Attention` and where its parts lie. `at` numbers (sample, head) pairs, head fastest.
struct AttentionCall: Sendable {
    let samples: Int
    let queries: Int
    let keys: Int
    let heads: Int
    let head: AttentionHead
    private let sharedContext: Bool
    private let engine: Engine

    init(
        _ query: Tensor, _ key: Tensor, _ value: Tensor, _ heads: Int, _ causal: Bool, _ scale: Float?, _ engine: Engine
    ) {
        precondition(
            query.shape.count == 3 && key.shape.count == 3 && key.shape == value.shape
                && key.channels == query.channels && query.channels.isMultiple(of: heads)
                && (key.shape[0] == query.shape[0] || key.shape[0] == 1) && key.shape[1] > 0,
            "attention of \(heads) heads: query \(query.shape), key \(key.shape), value \(value.shape)")
        precondition(
            !causal || query.shape[1] == key.shape[1],
            "causal attention of query \(query.shape) and key \(key.shape)")
        samples = query.shape[0]
        queries = query.shape[1]
        keys = key.shape[1]
        self.heads = heads
        let width = query.channels / heads
        head = AttentionHead(
            width: width, queryStride: query.channels, keyStride: key.channels,
            scale: scale ?? 1 / Float(width).squareRoot(), causal: causal)
        sharedContext = key.shape[0] == 1
        self.engine = engine
    }

    func headOffset(_ at: Int) -> Int { at % heads * head.width }
    func queryOffset(_ at: Int) -> Int { at / heads * queries * head.queryStride + headOffset(at) }
    func keyOffset(_ at: Int) -> Int {
        (sharedContext ? 0 : at / heads) * keys * head.keyStride + headOffset(at)
    }

    /// All heads of a key or value tensor in one of the kernels' packed forms.
    func packed(_ tensor: Tensor, _ pack: @escaping AttentionKernels.Pack) -> Tensor {
        let count = engine.attention.packedCount(keys, head.width)
        let result = Tensor([tensor.shape[0] * heads, count], in: engine.workspace)
        engine.threads.forEach(result.shape[0]) { at, _ in
            pack(tensor.pointer + keyOffset(at), head.keyStride, keys, head.width, result.pointer + at * count)
        }
        return result
    }

    func pointer(_ packed: Tensor, _ at: Int) -> UnsafePointer<Float> {
        UnsafePointer(packed.pointer + (sharedContext ? at % heads : at) * packed.channels)
    }

    func scratch(_ count: Int) -> Tensor {
        Tensor([engine.threads.count, (count + 15) / 16 * 16], in: engine.workspace)
    }

    /// dO·O per query, `[samples, heads, queries]`.
    func delta(_ dOut: Tensor, _ query: Tensor, _ out: Tensor, _ saved: Attention.Saved) -> Tensor {
        precondition(
            dOut.shape == query.shape && out.shape == query.shape && saved.softmax.shape == [samples, heads, 2, queries],
            "attention backward: query \(query.shape), dOut \(dOut.shape), out \(out.shape), \(heads) heads")
        let result = Tensor([samples * heads, queries], in: engine.workspace)
        forEachQueryBlock { at, rows, _ in
            let start = queryOffset(at) + rows.lowerBound * head.queryStride
            engine.attention.rowDots(
                dOut.pointer + start, out.pointer + start, head.queryStride, rows.count, head.width,
                result.pointer + at * queries + rows.lowerBound)
        }
        return result
    }

    func forEachQueryBlock(_ body: @Sendable (_ at: Int, _ queries: Range<Int>, _ worker: Int) -> Void) {
        // Every query is computed by itself: smaller blocks give more threads work, at the cost of reading keys more often.
        let share = queries * samples * heads / (2 * engine.threads.count)
        let block = min(engine.attention.queryBlock, max(12, share))
        let blocks = (queries + block - 1) / block
        engine.threads.forEach(samples * heads * blocks) { task, worker in
            let first = task % blocks * block
            body(task / blocks, first..<min(queries, first + block), worker)
        }
    }
}
