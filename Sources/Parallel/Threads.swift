import Dispatch
import Synchronization

/// Runs numbered tasks on a fixed number of threads.
///
/// Tasks are handed out one at a time, so uneven ones balance. What a task computes must depend on its number
/// alone, never on the worker or on the thread count: that is what makes results bit-identical for any count.
public struct Threads: Sendable {
    public let count: Int

    public init(count: Int) {
        precondition(count > 0, "thread count \(count)")
        self.count = count
    }

    /// Calls `body(task, worker)` for every task in `0..<tasks`; `worker` is in `0..<count` and no two calls run at
    /// once with the same worker, so it may index scratch memory.
    public func forEach(_ tasks: Int, _ body: @Sendable (_ task: Int, _ worker: Int) -> Void) {
        let workers = min(count, tasks)
        if workers <= 1 {
            for task in 0..<max(tasks, 0) { body(task, 0) }
            return
        }
        let next = Atomic<Int>(0)
        DispatchQueue.concurrentPerform(iterations: workers) { worker in
            while true {
                let task = next.add(1, ordering: .relaxed).oldValue
                if task >= tasks { return }
                body(task, worker)
            }
        }
    }

    /// Splits `0..<total` into ranges of `grain` (the last may be shorter) and calls `body(range, worker)` for each.
    public func forRanges(_ total: Int, grain: Int, _ body: @Sendable (_ range: Range<Int>, _ worker: Int) -> Void) {
        precondition(grain > 0, "grain \(grain)")
        forEach((total + grain - 1) / grain) { task, worker in
            body(task * grain..<min(total, (task + 1) * grain), worker)
        }
    }
}
