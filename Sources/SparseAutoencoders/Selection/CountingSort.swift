import Ops

/// Stable counting sort: `enumerate(range, visit)` names the bucket of every element of its items along with a payload,
/// twice; `place(payload, position)` puts it where it belongs. Returns where each bucket starts, and the end.
/// Items are split into at most 16 runs, a number that does not depend on the threads.
@inline(__always)
func countingSort(
    items: Int, buckets: Int, engine: Engine,
    enumerate: @escaping @Sendable (_ range: Range<Int>, _ visit: (_ bucket: Int, _ payload: UInt64) -> Void) -> Void,
    place: @escaping @Sendable (_ payload: UInt64, _ position: Int) -> Void
) -> Scratch<Int> {
    let grain = max(256, (items + 15) / 16)
    let runs = (items + grain - 1) / grain
    let positions = Scratch<Int>(runs * buckets, repeating: 0, engine)
    let start = Scratch<Int>(buckets + 1, engine)
    engine.threads.forEach(runs) { run, _ in
        let counts = positions.pointer + run * buckets
        enumerate(run * grain..<min(items, (run + 1) * grain)) { bucket, _ in counts[bucket] += 1 }
    }
    var total = 0
    for bucket in 0..<buckets {
        start.pointer[bucket] = total
        for run in 0..<runs {
            let count = positions.pointer[run * buckets + bucket]
            positions.pointer[run * buckets + bucket] = total
            total += count
        }
    }
    start.pointer[buckets] = total
    engine.threads.forEach(runs) { run, _ in
        let next = positions.pointer + run * buckets
        enumerate(run * grain..<min(items, (run + 1) * grain)) { bucket, payload in
            place(payload, next[bucket])
            next[bucket] += 1
        }
    }
    return start
}
