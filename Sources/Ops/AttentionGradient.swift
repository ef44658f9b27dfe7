import KernelInterface
import Tensors

/// How the gradients of all of attention's inputs are shared out among threads: `Attention.backwardInput`.
///
/// *Together*, a task is a head and a range of keys, and computes all five products of scores' size. Ranges are at most four:
/// each further one costs a buffer for its part of dQ and packs queries anew (eight took 8–20 % longer on two threads), and
/// their number is part of the result, as the parts of dQ are added up.
///
/// *Apart*, for more threads than that gives tasks: dK and dV by smaller ranges of keys, then dQ by the same ranges as
/// before and blocks of queries. That computes scores and their gradients twice, seven products. Every sum has the same
/// terms in the same order either way, so that the number of threads does not show in the bits.
struct AttentionGradient: @unchecked Sendable {
    let call: AttentionCall
    let query, key, value, dOut, softmax, delta: Tensor
    let engine: Engine
    let dQuery, dKey, dValue: Tensor
    /// Ranges of keys whose parts of dQ are added up, and samples that are computed side by side.
    private let ranges, samplesAtOnce: Int
    private let partial: Tensor

    init(
        call: AttentionCall, query: Tensor, key: Tensor, value: Tensor, dOut: Tensor, softmax: Tensor, delta: Tensor,
        engine: Engine
    ) {
        (self.call, self.query, self.key, self.value) = (call, query, key, value)
        (self.dOut, self.softmax, self.delta, self.engine) = (dOut, softmax, delta, engine)
        dQuery = Tensor(query.shape, in: engine.workspace)
        (dKey, dValue) = (Tensor(key.shape, in: engine.workspace), Tensor(key.shape, in: engine.workspace))
        ranges = max(1, min(4, call.keys / 256))
        samplesAtOnce = ranges == 1 ? call.samples : 1
        partial = Tensor([ranges - 1, query.count / call.samples], in: engine.workspace)
    }

    /// Parts that keys and queries are divided into: one pass for everything, or one for each.
    private enum Division {
        case together
        case apart(keys: Int, queries: Int)
    }

    func run() {
        let division = division()
        for first in stride(from: 0, to: call.samples, by: samplesAtOnce) {
            switch division {
            case .together: pass(first, keyRanges: ranges, queryBlocks: 1, wantsQuery: true, wantsKeys: true)
            case .apart(let keys, let queries):
                pass(first, keyRanges: keys, queryBlocks: 1, wantsQuery: false, wantsKeys: true)
                pass(first, keyRanges: ranges, queryBlocks: queries, wantsQuery: true, wantsKeys: false)
            }
            for range in 0..<ranges - 1 {
                Elementwise.addInPlace(
                    dQuery.slice(first..<first + 1), partial.slice(range..<range + 1), engine: engine)
            }
        }
    }

    /// The least time in products of a head's scores, at least a tenth less than together.
    private func division() -> Division {
        let (heads, threads) = (samplesAtOnce * call.heads, engine.threads.count)
        func time(_ products: Double, _ parts: Int) -> Double {
            let rounds = (heads * parts + threads - 1) / threads
            return Double(rounds) * products / Double(parts)
        }
        let together = time(5, ranges)
        if call.head.causal || heads * ranges >= threads { return .together }
        func best(_ products: Double, _ parts: [Int]) -> (parts: Int, time: Double) {
            parts.map { ($0, time(products, $0)) }.min { $0.1 < $1.1 } ?? (1, products)
        }
        let keys = best(4, (1...max(1, call.keys / 64)).filter { $0 <= threads })
        let blocks = best(3, (1...max(1, call.queries / 64)).filter { $0 <= threads }.map { $0 * ranges })
        guard keys.time + blocks.time < 0.9 * together else { return .together }
        return .apart(keys: keys.parts, queries: blocks.parts / ranges)
    }

    /// The wanted gradients of `samplesAtOnce` samples from `first` on, a task for each head, range of keys and block of
    /// queries, both of whole 64s.
    private func pass(_ first: Int, keyRanges: Int, queryBlocks: Int, wantsQuery: Bool, wantsKeys: Bool) {
        func size(_ count: Int, _ parts: Int) -> Int { ((count + parts - 1) / parts + 63) / 64 * 64 }
        let (rangeKeys, blockQueries) = (size(call.keys, keyRanges), size(call.queries, queryBlocks))
        let scratch = call.scratch(engine.attention.backwardScratchCount(rangeKeys, call.head.width))
        engine.threads.forEach(samplesAtOnce * call.heads * keyRanges * queryBlocks) { task, worker in
            let (block, range) = (task % queryBlocks, task / queryBlocks % keyRanges)
            let at = first * call.heads + task / (queryBlocks * keyRanges)
            let start = block * blockQueries
            let keys = range * rangeKeys..<max(range * rangeKeys, min(call.keys, (range + 1) * rangeKeys))
            let queries = min(blockQueries, call.queries - start)
            guard !keys.isEmpty, queries > 0 else { return }
            let (q, k) = (call.queryOffset(at) + start * call.head.queryStride, call.keyOffset(at))
            let part = range == 0
                ? dQuery.pointer + q
                : partial.pointer + (range - 1) * partial.channels + call.headOffset(at) + start * call.head.queryStride
            engine.attention.backward(
                call.head, query.pointer + q, dOut.pointer + q, queries, key.pointer + k, value.pointer + k, keys,
                softmax.pointer + 2 * at * call.queries + start, call.queries, delta.pointer + at * call.queries + start,
                wantsQuery ? part : nil, wantsKeys ? dKey.pointer + k : nil, wantsKeys ? dValue.pointer + k : nil,
                scratch.pointer + worker * scratch.channels)
        }
    }
}
