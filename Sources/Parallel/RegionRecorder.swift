import Synchronization

/// What the tasks of parallel regions took, one after the other on the caller's thread: from this follows how long they would
/// take on any number of workers (`lvo bench scaling`).
///
/// Recording is switched on and off between passes by one thread; it costs two readings of a clock a task.
public final class RegionRecorder: Sendable {
    /// One region: tasks that may run at once, between two points that all wait for.
    public struct Region: Sendable {
        /// The file and function that opened it: `FilterProduct.run()`.
        public let place: String
        /// Seconds that passed since the region before, on one thread.
        public let before: Double
        /// Seconds of each task.
        public let tasks: [Double]
        /// Bytes that must come from or go to memory at least once.
        public let bytes: Int

        /// A region as recorded, or made up.
        public init(place: String, before: Double, tasks: [Double], bytes: Int) {
            (self.place, self.before, self.tasks, self.bytes) = (place, before, tasks, bytes)
        }
    }

    /// A pass: all its regions, and the seconds after the last one.
    public struct Recording: Sendable {
        /// In the order in which they ran.
        public var regions: [Region]
        /// Seconds after the last region.
        public var after: Double

        /// A pass as recorded, or made up.
        public init(regions: [Region], after: Double) { (self.regions, self.after) = (regions, after) }

        /// Of several recordings of the same pass, the middle of every time: a task that the system interrupted once does not
        /// count. The first one if they are not of the same regions.
        ///
        /// - Precondition: there is at least one.
        public static func median(_ recordings: [Recording]) -> Recording {
            func middle(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
            let shapes = recordings.map { $0.regions.map(\.tasks.count) }
            guard shapes.allSatisfy({ $0 == shapes[0] }) else { return recordings[0] }
            let regions = recordings[0].regions.enumerated().map { index, region in
                let same = recordings.map { $0.regions[index] }
                return Region(
                    place: region.place, before: middle(same.map(\.before)),
                    tasks: region.tasks.indices.map { task in middle(same.map { $0.tasks[task] }) }, bytes: region.bytes)
            }
            return Recording(regions: regions, after: middle(recordings.map(\.after)))
        }
    }

    private struct State {
        var regions: [Region] = []
        var isOn = false
        var end = ContinuousClock.now
    }

    private let state = Mutex(State())

    /// Nothing is recorded before `start`.
    public init() {}

    /// Forgets what was recorded and begins anew.
    public func start() { state.withLock { $0 = State(isOn: true) } }

    /// Ends the recording.
    public func stop() -> Recording {
        state.withLock { state in
            state.isOn = false
            return Recording(regions: state.regions, after: (ContinuousClock.now - state.end) / .seconds(1))
        }
    }

    var isOn: Bool { state.withLock { $0.isOn } }

    /// Runs a region's tasks and records them.
    func run(_ tasks: Int, place: String, bytes: Int, _ body: (_ task: Int, _ worker: Int) -> Void) {
        let clock = ContinuousClock()
        let start = clock.now
        var (last, seconds) = (start, [Double](repeating: 0, count: tasks))
        for task in 0..<tasks {
            body(task, 0)
            let now = clock.now
            seconds[task] = (now - last) / .seconds(1)
            last = now
        }
        state.withLock { state in
            let before = (start - state.end) / .seconds(1)
            state.regions.append(Region(place: place, before: before, tasks: seconds, bytes: bytes))
            state.end = clock.now
        }
    }
}
