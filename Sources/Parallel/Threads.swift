/// Runs numbered tasks on a fixed number of threads.
///
/// What a task computes must depend on its number alone, never on the worker or on the thread count: that is what makes
/// results bit-identical for any count.
public final class Threads: Sendable {
    /// Threads that work at once, at least 1.
    public let count: Int
    private let pool: WorkerPool?
    private let recorder: RegionRecorder?

    /// About 50 µs of waiting before a thread sleeps: several of a network's regions.
    private static let spins = 4000

    /// - Parameters:
    ///   - count: threads that work, the caller's among them; at least 1.
    ///   - pins: whether each thread but the caller's stays on one core.
    ///   - machine: decides whether threads may spin: with more threads than CPUs they sleep at once.
    /// - Precondition: `count > 0`.
    public init(count: Int, pins: Bool = false, machine: Machine = Machine()) {
        precondition(count > 0, "thread count \(count)")
        self.count = count
        recorder = nil
        let spins = count <= machine.cpus.count ? Self.spins : 0
        pool = count == 1 ? nil : WorkerPool(count: count, spins: spins, pinned: pins ? machine.cores.map { $0[0] } : nil)
    }

    /// The caller's thread alone, with work shared out as for `count` threads and its tasks' times recorded.
    ///
    /// - Precondition: `count > 0`.
    public init(recording recorder: RegionRecorder, count: Int) {
        precondition(count > 0, "thread count \(count)")
        (self.count, self.recorder, pool) = (count, recorder, nil)
    }

    /// Calls `body(task, worker)` for every task in `0..<tasks`; `worker` is in `0..<count` and no two calls run at
    /// once with the same worker, so it may index scratch memory. A call from within `body`, or while another
    /// thread's call runs, does its tasks one after the other.
    ///
    /// - Parameter bytes: that come from or go to memory at least once, for predictions of many threads; 0 where arithmetic
    ///   is what counts.
    public func forEach(
        _ tasks: Int, bytes: Int = 0, file: StaticString = #fileID, function: StaticString = #function,
        _ body: @Sendable (_ task: Int, _ worker: Int) -> Void
    ) {
        if let recorder, recorder.isOn, tasks > 0 {
            return recorder.run(tasks, place: place(file, function), bytes: bytes, body)
        }
        let workers = min(count, tasks)
        if workers > 1, let pool, pool.run(tasks, workers: workers, body) { return }
        for task in 0..<max(tasks, 0) { body(task, 0) }
    }

    /// Splits `0..<total` into ranges of `grain` (the last may be shorter) and calls `body(range, worker)` for each.
    ///
    /// - Precondition: `grain > 0`.
    public func forRanges(
        _ total: Int, grain: Int, bytes: Int = 0, file: StaticString = #fileID, function: StaticString = #function,
        _ body: @Sendable (_ range: Range<Int>, _ worker: Int) -> Void
    ) {
        precondition(grain > 0, "grain \(grain)")
        forEach((total + grain - 1) / grain, bytes: bytes, file: file, function: function) { task, worker in
            body(task * grain..<min(total, (task + 1) * grain), worker)
        }
    }

    /// `FilterProduct.run` of `Ops/FilterProduct.swift` and `run(_:)`.
    private func place(_ file: StaticString, _ function: StaticString) -> String {
        let file = "\(file)".split(separator: "/").last?.split(separator: ".").first ?? ""
        return "\(file).\("\(function)".prefix { $0 != "(" })"
    }
}
