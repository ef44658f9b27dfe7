import Ops

/// Keep the `keep` largest activations of every `tokensPerGroup` consecutive tokens.
struct SelectionRequest: Sendable {
    let tokensPerGroup: Int
    let keep: Int
    /// Only dead latents, and only activations greater than 0: the auxiliary reconstruction sees no others.
    var deadOnly = false
    /// Only activations greater than 0.
    var positiveOnly = false

    /// A key that every acceptable one exceeds.
    var floor: UInt64 { deadOnly || positiveOnly ? UInt64(UInt32.max) : 0 }
}

/// Where a request's keys end up: a region of `keep` keys per group, filled by the task that owns the group, or
/// through a pool when the group reaches over several tasks.
final class SelectionResult: Sendable {
    let request: SelectionRequest
    let keep: Int
    let tokens: Int
    let features: Int
    private let engine: Engine
    private let pools: [KeyPool]
    private let keys: Scratch<UInt64>
    private let counts: Scratch<Int>

    init(_ request: SelectionRequest, tokens: Int, features: Int, engine: Engine) {
        self.request = request
        self.tokens = tokens
        self.features = features
        self.engine = engine
        let size = min(request.tokensPerGroup, tokens)
        let keep = min(request.keep, size * features)
        let groups = (tokens + size - 1) / size
        keys = Scratch(groups * keep, engine)
        counts = Scratch(groups, repeating: 0, engine)
        pools = size == 1 ? [] : (0..<groups).map { _ in KeyPool(keep: keep, floor: request.floor, engine: engine) }
        self.keep = keep
    }

    func pool(_ group: Int) -> KeyPool? { pools.isEmpty ? nil : pools[group] }

    /// Hands over a group's (or a part of a group's) `count ≤ keep` keys.
    func deliver(_ group: Int, _ found: UnsafePointer<UInt64>, _ count: Int) {
        if let pool = pool(group) {
            pool.merge(found, count)
        } else {
            (keys.pointer + group * keep).update(from: found, count: count)
            counts.pointer[group] = count
        }
    }

    /// All keys, one run.
    func finish() -> SelectedKeys {
        for (group, pool) in pools.enumerated() {
            counts.pointer[group] = pool.drain(into: keys.pointer + group * keep)
        }
        var filled = 0
        for group in 0..<counts.count {
            let count = counts.pointer[group]
            if filled != group * keep {
                (keys.pointer + filled).update(from: keys.pointer + group * keep, count: count)
            }
            filled += count
        }
        return SelectedKeys(keys: keys, count: filled)
    }
}

/// The first `count` of a run of keys.
struct SelectedKeys: Sendable {
    let keys: Scratch<UInt64>
    let count: Int
}
