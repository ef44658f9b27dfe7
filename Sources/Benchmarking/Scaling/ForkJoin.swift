import Dispatch
import Ops
import Tensors
import Parallel

/// What a parallel region costs beside its tasks.
public enum ForkJoin {
    /// Seconds of a region of one task of 20 µs a thread, so that every thread has to come, less those 20 µs.
    public static func seconds(_ threads: Threads) -> Double { cost { threads.forEach(threads.count) { _, _ in busy() } } }

    /// The same by Dispatch.
    public static func secondsByDispatch(_ threads: Threads) -> Double {
        cost { DispatchQueue.concurrentPerform(iterations: threads.count) { _ in busy() } }
    }

    private static let task = Duration.microseconds(20)

    private static func busy() {
        let clock = ContinuousClock()
        let end = clock.now + task
        while clock.now < end {}
    }

    private static func cost(_ region: () -> Void) -> Double {
        let clock = ContinuousClock()
        let times = (0..<2000).map { _ in clock.measure(region) }.sorted()
        return max(0, (times[1000] - task) / .seconds(1))
    }
}

/// What memory gives.
public enum MemoryBandwidth {
    /// Bytes a second read and written by all threads in sums of two arrays beyond every cache.
    public static func bytesPerSecond(_ engine: Engine) -> Double {
        let count = 16 << 20
        let (a, b, sum) = (Tensor.filled([count]), Tensor.filled([count]), Tensor.zeros([count]))
        let add = engine.kernels.elementwise.add
        let times = (0..<5).map { _ in
            Timing.time {
                engine.threads.forRanges(count, grain: 1 << 16) { range, _ in
                    let start = range.lowerBound
                    add(a.pointer + start, b.pointer + start, sum.pointer + start, range.count)
                }
            }
        }
        return Double(3 * 4 * count) / (times.min() ?? 1)
    }
}
