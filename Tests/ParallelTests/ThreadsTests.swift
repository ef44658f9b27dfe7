import Parallel
import Synchronization
import TestSupport
import Testing

@Suite struct ThreadsTests {
    /// Every task once, whatever the counts.
    @Test(arguments: [1, 2, 3, 7, 64])
    func everyTaskIsDoneOnce(threads count: Int) {
        let threads = Threads(count: count)
        for tasks in [0, 1, 2, 3, count, count + 1, 100, 1009] {
            let seen = Mutex([Int](repeating: 0, count: tasks))
            threads.forEach(tasks) { task, worker in
                #expect((0..<count).contains(worker))
                seen.withLock { $0[task] += 1 }
            }
            #expect(seen.withLock { $0.allSatisfy { $0 == 1 } })
        }
    }

    /// Many short regions: none is lost, and what tasks wrote is seen after each.
    @Test(arguments: [2, 3, 64])
    func regionsFollowEachOther(threads count: Int) {
        let threads = Threads(count: count)
        final class Sums: @unchecked Sendable { var values = [Int](repeating: 0, count: 97) }
        let sums = Sums()
        sums.values.withUnsafeMutableBufferPointer { buffer in
            nonisolated(unsafe) let pointer = buffer
            for region in 1...2000 {
                threads.forEach(97) { task, _ in pointer[task] += region * (task + 1) }
            }
        }
        #expect(sums.values == (0..<97).map { 2000 * 2001 / 2 * ($0 + 1) })
    }

    @Test func noTwoTasksShareAWorkerAtOnce() {
        let threads = Threads(count: 4)
        let busy = Mutex<Set<Int>>([])
        threads.forEach(500) { _, worker in
            #expect(busy.withLock { $0.insert(worker).inserted })
            for _ in 0..<100 { _ = busy.withLock { $0.contains(worker) } }
            busy.withLock { _ = $0.remove(worker) }
        }
    }

    @Test func aRegionWithinARegionIsDone() {
        let threads = Threads(count: 3)
        let count = Atomic<Int>(0)
        threads.forEach(20) { _, _ in threads.forEach(10) { _, _ in count.add(1, ordering: .relaxed) } }
        #expect(count.load(ordering: .relaxed) == 200)
    }

    @Test func twoCallersMayShareThreads() async {
        let threads = Threads(count: 4)
        let sums = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<6 {
                group.addTask {
                    let sum = Atomic<Int>(0)
                    for _ in 0..<200 { threads.forEach(50) { task, _ in sum.add(task, ordering: .relaxed) } }
                    return sum.load(ordering: .relaxed)
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(sums == [Int](repeating: 200 * 1225, count: 6))
    }

    @Test func threadsEndWithTheirPool() {
        for _ in 0..<200 {
            let threads = Threads(count: 5)
            threads.forEach(5) { _, _ in }
        }
        // Were threads left behind, a thousand would wait here.
        #expect(SystemTree().value(after: "Threads:", in: "/proc/self/status").flatMap { Int($0) } ?? 0 < 500)
    }

    @Test func pinnedThreadsComputeTheSame() {
        let threads = Threads(count: 2, pins: true)
        let sum = Atomic<Int>(0)
        threads.forEach(1000) { task, _ in sum.add(task, ordering: .relaxed) }
        #expect(sum.load(ordering: .relaxed) == 499_500)
    }

    @Test(arguments: [(0, 3), (10, 3), (9, 3), (1, 100)])
    func rangesCoverEverything(total: Int, grain: Int) {
        let seen = Mutex<[Int]>([])
        Threads(count: 2).forRanges(total, grain: grain) { range, _ in seen.withLock { $0 += Array(range) } }
        #expect(seen.withLock { $0.sorted() } == Array(0..<total))
    }
}
