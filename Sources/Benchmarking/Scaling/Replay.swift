import Parallel

/// A recorded pass on another number of workers.
///
/// Each region takes fork and join, and then the longer of two times: that of its tasks on the workers, and that of its
/// bytes through memory. Workers take tasks as the pool hands them out: each its own share of neighbouring tasks, then
/// what is left of others'. What is not a region takes what it took. Not modelled: lower clocks with all cores at work, and
/// caches (each task takes the time that it took on one thread).
public struct Replay: Sendable {
    /// Workers.
    public let workers: Int
    /// Seconds of the whole pass.
    public let seconds: Double
    /// Seconds between regions, on one thread.
    public let serial: Double
    /// What every region took, in the order of the recording.
    public let regions: [Double]

    /// What workers cost beside their work.
    public struct Machine: Sendable {
        /// Seconds of fork and join of two workers.
        public var forkJoin: Double
        /// Seconds that every further worker adds.
        public var forkJoinPerWorker: Double
        /// Bytes a second that one worker can move, and all of them together.
        public var bandwidthPerWorker: Double
        /// Bytes a second of all workers together, at most.
        public var bandwidth: Double

        /// A machine with these costs.
        public init(forkJoin: Double, forkJoinPerWorker: Double, bandwidthPerWorker: Double, bandwidth: Double) {
            (self.forkJoin, self.forkJoinPerWorker) = (forkJoin, forkJoinPerWorker)
            (self.bandwidthPerWorker, self.bandwidth) = (bandwidthPerWorker, bandwidth)
        }
    }

    /// - Precondition: `workers > 0`.
    public init(_ recording: RegionRecorder.Recording, workers: Int, machine: Machine) {
        precondition(workers > 0, "\(workers) workers")
        self.workers = workers
        regions = recording.regions.map { Self.seconds($0, workers, machine) }
        serial = recording.regions.reduce(recording.after) { $0 + $1.before }
        seconds = regions.reduce(serial, +)
    }

    private static func seconds(_ region: RegionRecorder.Region, _ workers: Int, _ machine: Machine) -> Double {
        let used = min(workers, region.tasks.count)
        guard used > 1 else { return region.tasks.reduce(0, +) }
        let join = machine.forkJoin + Double(used - 2) * machine.forkJoinPerWorker
        let memory = Double(region.bytes) / min(machine.bandwidth, Double(used) * machine.bandwidthPerWorker)
        return join + max(makespan(region.tasks, used), memory)
    }

    /// When the last of the tasks ends.
    static func makespan(_ tasks: [Double], _ workers: Int) -> Double {
        var next = (0..<workers).map { $0 * tasks.count / workers }
        let ends = (0..<workers).map { ($0 + 1) * tasks.count / workers }
        var free = [Double](repeating: 0, count: workers)
        for _ in tasks.indices {
            let worker = free.indices.min { free[$0] < free[$1] } ?? 0
            let owner = (0..<workers).lazy.map { (worker + $0) % workers }.first { next[$0] < ends[$0] } ?? worker
            free[worker] += tasks[next[owner]]
            next[owner] += 1
        }
        return free.max() ?? 0
    }
}
