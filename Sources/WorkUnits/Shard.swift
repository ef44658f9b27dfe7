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
    /// - Throws: `SimpleFailure(.usage)` if the variables contradict each other.
    public init?(environment: [String: String]) throws {
        func number(_ name: String) -> Int? { environment[name].flatMap { Int($0) } }
        if let id = number("SLURM_ARRAY_TASK_ID"), let count = number("SLURM_ARRAY_TASK_COUNT") {
            let position = (id - (number("SLURM_ARRAY_TASK_MIN") ?? 0)) / max(1, number("SLURM_ARRAY_TASK_STEP") ?? 1)
            try self.init("\(position)/\(count)")
        } else if let index = number("JOB_COMPLETION_INDEX") {
            guard let count = number("LVO_SHARDS") else {
                throw SimpleFailure(
                    .usage, "JOB_COMPLETION_INDEX is set: set LVO_SHARDS to the job's completions, or give --shard i/n")
            }
            try self.init("\(index)/\(count)")
        } else {
            return nil
        }
    }

    /// Every n-th element from the i-th on.
    public func select<Element>(_ elements: [Element]) -> [Element] {
        stride(from: index, to: elements.count, by: count).map { elements[$0] }
    }
}
