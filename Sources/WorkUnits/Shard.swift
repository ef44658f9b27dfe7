import Files

/// One of n parts of the work. Units are dealt out in turn, so parts are of nearly equal size; which results come out
/// does not depend on n.
public struct Shard: Sendable, Equatable {
    public let index: Int
    public let count: Int

    public static let whole = Shard(index: 0, count: 1)

    private init(index: Int, count: Int) {
        self.index = index
        self.count = count
    }

    /// From text `i/n`, i from 0.
    ///
    /// - Throws: `SimpleFailure(.usage)`.
    public init(_ text: String) throws {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 2, let index = parts[0], let count = parts[1], count > 0, (0..<count).contains(index) else {
            throw SimpleFailure(.usage, "shard \"\(text)\": expected i/n with 0 ≤ i < n, for example 0/4")
        }
        self.init(index: index, count: count)
    }

    /// The shard a scheduler's environment announces: SLURM job arrays (SLURM_ARRAY_TASK_ID, _MIN, _STEP, _COUNT),
    /// Kubernetes indexed jobs (JOB_COMPLETION_INDEX; the number of completions, which Kubernetes does not pass on, in
    /// LVO_SHARDS). Nil if none does.
    ///
    /// An array may begin above 0 and have a step; one with gaps is refused by every task, as nobody would do the missing
    /// shards.
    ///
    /// - Throws: `SimpleFailure(.usage)` if the variables contradict each other.
    public init?(environment: [String: String]) throws {
        func number(_ name: String) -> Int? { environment[name].flatMap { Int($0) } }
        if let task = environment["SLURM_ARRAY_TASK_ID"] {
            guard let id = Int(task), let count = number("SLURM_ARRAY_TASK_COUNT"), let first = number("SLURM_ARRAY_TASK_MIN"),
                let last = number("SLURM_ARRAY_TASK_MAX"), let step = Self.step(from: first, to: last, count: count),
                id >= first, (id - first) % step == 0
            else {
                throw SimpleFailure(
                    .usage, "the job array's tasks are not evenly numbered (SLURM_ARRAY_TASK_ID \(task)): submit it with "
                        + "--array=0-N or FIRST-LAST:STEP, or name the shard")
            }
            try self.init("\((id - first) / step)/\(count)")
        } else if let index = number("JOB_COMPLETION_INDEX") {
            guard let count = number("LVO_SHARDS") else {
                throw SimpleFailure(
                    .usage, "JOB_COMPLETION_INDEX is set: set LVO_SHARDS to the job's completions")
            }
            try self.init("\(index)/\(count)")
        } else {
            return nil
        }
    }

    /// The distance of `count` evenly spaced numbers. SLURM's own variable does not tell it for every way to name tasks.
    private static func step(from first: Int, to last: Int, count: Int) -> Int? {
        if count == 1 { return first == last ? 1 : nil }
        guard count > 1, last > first, (last - first) % (count - 1) == 0 else { return nil }
        return (last - first) / (count - 1)
    }

    /// Every n-th element from the i-th on.
    public func select<Element>(_ elements: [Element]) -> [Element] {
        stride(from: index, to: elements.count, by: count).map { elements[$0] }
    }
}
