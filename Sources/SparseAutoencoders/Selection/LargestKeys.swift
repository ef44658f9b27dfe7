import Ops
import Synchronization

/// Rearranges `keys[0..<count]` so that the `keep` largest come first, and returns the least of these.
/// Quickselect with the median of three as pivot; keys are distinct.
func keepLargest(_ keys: UnsafeMutablePointer<UInt64>, _ count: Int, _ keep: Int) -> UInt64 {
    precondition(0 < keep && keep <= count, "keep \(keep) of \(count)")
    var (low, high) = (0, count - 1)
    let target = keep - 1
    while low < high {
        let pivot = medianOfThree(keys[low], keys[(low + high) / 2], keys[high])
        var (i, j) = (low, high)
        while i <= j {
            while keys[i] > pivot { i += 1 }
            while keys[j] < pivot { j -= 1 }
            if i <= j {
                (keys[i], keys[j]) = (keys[j], keys[i])
                i += 1
                j -= 1
            }
        }
        if target <= j {
            high = j
        } else if target >= i {
            low = i
        } else {
            break
        }
    }
    return keys[target]
}

private func medianOfThree(_ a: UInt64, _ b: UInt64, _ c: UInt64) -> UInt64 {
    max(min(a, b), min(max(a, b), c))
}

/// The largest keys seen so far of a group of tokens that several tasks fill.
///
/// `bound` rises as keys come in: nothing at or below it can be among the group's largest, so later tasks skip it. With
/// tokens in no particular order, a group of n tokens passes about `keep · (1 + ln(blocks))` keys in all, whatever the
/// number of latents. What is kept in the end does not depend on the order of arrival.
final class KeyPool: Sendable {
    private let keep: Int
    private let floor: UInt64
    private let keys: Scratch<UInt64>
    private let filled = Mutex(0)
    private let boundBits: Atomic<UInt64>

    /// - Parameter floor: what a key must exceed from the start.
    init(keep: Int, floor: UInt64, engine: Engine) {
        self.keep = keep
        self.floor = floor
        keys = Scratch(2 * keep, engine)
        boundBits = Atomic(floor)
    }

    var bound: UInt64 { boundBits.load(ordering: .relaxed) }

    /// Adds `count ≤ keep` keys.
    func merge(_ new: UnsafePointer<UInt64>, _ count: Int) {
        filled.withLock { filled in
            if filled + count > keys.count { filled = compact(filled) }
            (keys.pointer + filled).update(from: new, count: count)
            filled += count
            if filled > keep + keep / 2 || !isBounded { filled = compact(filled) }
        }
    }

    /// Moves the largest keys, at most `keep`, to `target` and returns their number.
    func drain(into target: UnsafeMutablePointer<UInt64>) -> Int {
        filled.withLock { filled in
            if filled > keep { filled = compact(filled) }
            target.update(from: keys.pointer, count: filled)
            return filled
        }
    }

    private var isBounded: Bool { bound != floor }

    private func compact(_ filled: Int) -> Int {
        guard filled >= keep else { return filled }
        boundBits.store(keepLargest(keys.pointer, filled, keep), ordering: .relaxed)
        return keep
    }
}
