import Ops
import Synchronization

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
