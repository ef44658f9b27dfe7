import CThreads
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Threads that wait for parallel regions: spinning for a moment, since in a network's tight loop the next region comes
/// within microseconds, and then asleep.
///
/// Dispatch is not used for this: it wakes its threads one by one and parks them at once, which costs microseconds per thread
/// and region (docs/performance.md), and its width ends at the CPUs of the affinity mask.
///
/// A region is open, then closed. Threads enter it while it is open and are waited for only if they entered: one that the
/// system does not run now holds nobody up, so that more threads than CPUs do no harm.
final class WorkerPool: Sendable {
    typealias Body = (_ task: Int, _ worker: Int) -> Void

    private let shared: Shared
    private let threads: [pthread_t]

    /// - Parameters:
    ///   - count: threads that work, the caller's among them.
    ///   - spins: rounds of waiting before sleep.
    ///   - pins: whether each thread stays on one of these CPUs; nil leaves it to the system.
    init(count: Int, spins: Int, pinned cpus: [Int]?) {
        let shared = Shared(count: count, spins: spins)
        self.shared = shared
        threads = (1..<count).compactMap { worker in
            startThread {
                if let cpus { Affinity.limit(to: CollectionOfOne(cpus[worker % cpus.count])) }
                shared.serve(worker)
            }
        }
    }

    deinit {
        shared.stop()
        for thread in threads { pthread_join(thread, nil) }
    }

    /// Runs the tasks on up to `workers` threads and returns when all are done. False, with nothing done, if a region of
    /// this pool is running (from another thread, or around this call).
    func run(_ tasks: Int, workers: Int, _ body: Body) -> Bool {
        withoutActuallyEscaping(body) { shared.run(tasks, workers: workers, $0) }
    }
}

/// What the threads of a pool share. They hold this and not the pool, so that letting go of the pool ends them.
private final class Shared: @unchecked Sendable {
    /// One region's work. Written by the thread that opens the region, before it opens; read by threads that entered.
    private var body: WorkerPool.Body = { _, _ in }
    private var tasks = 0
    private var workers = 0

    /// generation · 2³² + open · 2³¹ + threads inside.
    private let state = Atomic<UInt64>(0)
    private let busy = Atomic<Bool>(false)
    private let isStopping = Atomic<Bool>(false)
    /// Threads that sleep until a region opens, and whether the opener sleeps until one is empty.
    private let sleepers = Atomic<Int>(0)
    private let closerSleeps = Atomic<Bool>(false)
    private let counters: TaskCounters
    private let spins: Int
    private let bell = Bell()

    private static let open: UInt64 = 1 << 31
    private static let inside: UInt64 = open - 1

    init(count: Int, spins: Int) {
        counters = TaskCounters(count: count)
        self.spins = spins
    }

    func run(_ tasks: Int, workers: Int, _ body: @escaping WorkerPool.Body) -> Bool {
        guard !busy.exchange(true, ordering: .acquiring) else { return false }
        defer { busy.store(false, ordering: .releasing) }
        (self.body, self.tasks, self.workers) = (body, tasks, workers)
        counters.share(tasks, workers)
        let generation = (state.load(ordering: .relaxed) >> 32 + 1) & 0xffff_ffff
        state.store(generation << 32 | Self.open, ordering: .sequentiallyConsistent)
        if sleepers.load(ordering: .sequentiallyConsistent) > 0 { bell.ring() }
        counters.work(0, of: workers, tasks, probing: workers, body)
        close()
        self.body = { _, _ in }
        return true
    }

    /// A thread's life: region after region.
    func serve(_ worker: Int) {
        var last: UInt64 = 0
        while let generation = nextRegion(after: last) {
            last = generation
            guard enter(generation) else { continue }
            if worker < workers {
                // A few others' shares are looked through; the thread that opened the region looks through all.
                let probes = Int.bitWidth - workers.leadingZeroBitCount
                counters.work(worker, of: workers, tasks, probing: probes, body)
            }
            leave()
        }
    }

    func stop() {
        isStopping.store(true, ordering: .sequentiallyConsistent)
        bell.ring()
    }

    /// Waits for a region that is not `last`; nil when the pool ends.
    private func nextRegion(after last: UInt64) -> UInt64? {
        func news() -> Bool {
            state.load(ordering: .sequentiallyConsistent) >> 32 != last || isStopping.load(ordering: .relaxed)
        }
        if !spin(until: news) {
            sleepers.add(1, ordering: .sequentiallyConsistent)
            bell.wait(until: news)
            sleepers.subtract(1, ordering: .sequentiallyConsistent)
        }
        return isStopping.load(ordering: .relaxed) ? nil : state.load(ordering: .acquiring) >> 32
    }

    /// Joins the region if it is still that one and open.
    private func enter(_ generation: UInt64) -> Bool {
        var seen = state.load(ordering: .relaxed)
        while seen >> 32 == generation, seen & Self.open != 0 {
            let (done, now) = state.compareExchange(expected: seen, desired: seen + 1, ordering: .acquiring)
            if done { return true }
            seen = now
        }
        return false
    }

    private func leave() {
        let now = state.subtract(1, ordering: .sequentiallyConsistent).newValue
        if now & (Self.open | Self.inside) == 0, closerSleeps.load(ordering: .sequentiallyConsistent) { bell.ring() }
    }

    /// No thread enters any more; waits for those inside.
    private func close() {
        state.bitwiseXor(Self.open, ordering: .sequentiallyConsistent)
        func isEmpty() -> Bool { state.load(ordering: .sequentiallyConsistent) & Self.inside == 0 }
        if spin(until: isEmpty) { return }
        closerSleeps.store(true, ordering: .sequentiallyConsistent)
        bell.wait(until: isEmpty)
        closerSleeps.store(false, ordering: .relaxed)
    }

    private func spin(until condition: () -> Bool) -> Bool {
        for _ in 0..<spins {
            if condition() { return true }
            spin_hint()
        }
        return condition()
    }
}

/// Which tasks of a region are still to be handed out: each worker has a share of neighbouring tasks of its own, the same in
/// every region of that size, so that it finds in its caches and its memory domain what it touched before; whoever
/// is through with its share takes from others'. A single counter for all costs 70 % of the time at 32–64 threads
/// elsewhere (pytorch #155795).
private final class TaskCounters: @unchecked Sendable {
    /// A counter in a cache line (and its neighbour, which is fetched with it) of its own.
    private struct Padded: ~Copyable {
        let next = Atomic<Int>(0)
        let padding: (Int64, Int64, Int64, Int64, Int64, Int64, Int64) = (0, 0, 0, 0, 0, 0, 0)
        let more: (Int64, Int64, Int64, Int64, Int64, Int64, Int64, Int64) = (0, 0, 0, 0, 0, 0, 0, 0)
    }

    private let counters: UnsafeMutablePointer<Padded>
    private let count: Int

    init(count: Int) {
        self.count = count
        counters = .allocate(capacity: count)
        for worker in 0..<count { (counters + worker).initialize(to: Padded()) }
    }

    deinit {
        counters.deinitialize(count: count)
        counters.deallocate()
    }

    /// Deals out `tasks` tasks to the first `workers` workers.
    func share(_ tasks: Int, _ workers: Int) {
        for worker in 0..<workers { counters[worker].next.store(worker * tasks / workers, ordering: .relaxed) }
    }

    /// Does a worker's share, then what is left of `probing` shares of others, at distances 0, 1, 2, 4, … or, for all of
    /// them, in turn.
    func work(_ worker: Int, of workers: Int, _ tasks: Int, probing probes: Int, _ body: WorkerPool.Body) {
        for probe in 0..<probes {
            let distance = probes == workers ? probe : probe == 0 ? 0 : 1 << (probe - 1)
            let owner = (worker + distance) % workers
            let end = (owner + 1) * tasks / workers
            while counters[owner].next.load(ordering: .relaxed) < end {
                let task = counters[owner].next.add(1, ordering: .relaxed).oldValue
                guard task < end else { break }
                body(task, worker)
            }
        }
    }
}

/// A condition that threads sleep on.
private final class Bell: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t> = .allocate(capacity: 1)
    private let condition: UnsafeMutablePointer<pthread_cond_t> = .allocate(capacity: 1)

    init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Wakes all who sleep. What they wait for must have become true before.
    func ring() {
        pthread_mutex_lock(mutex)
        pthread_cond_broadcast(condition)
        pthread_mutex_unlock(mutex)
    }

    func wait(until condition: () -> Bool) {
        pthread_mutex_lock(mutex)
        while !condition() { pthread_cond_wait(self.condition, mutex) }
        pthread_mutex_unlock(mutex)
    }
}

/// Starts a thread with room for the deepest kernel; nil if the system has none to give: a pool of fewer threads computes the
/// same.
private func startThread(_ body: @escaping @Sendable () -> Void) -> pthread_t? {
    final class Start { let body: @Sendable () -> Void; init(_ body: @escaping @Sendable () -> Void) { self.body = body } }
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setstacksize(&attributes, 1 << 21)
    var thread = pthread_t()
    let start = Unmanaged.passRetained(Start(body))
    let status = pthread_create(&thread, &attributes, { argument in
        guard let argument else { return nil }
        Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body()
        return nil
    }, start.toOpaque())
    if status == 0 { return thread }
    start.release()
    return nil
}
