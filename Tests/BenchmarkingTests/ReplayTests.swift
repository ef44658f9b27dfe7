import Benchmarking
import Ops
import Parallel
import Tensors
import Testing

@Suite struct ReplayTests {
    private func recording(_ tasks: [[Double]], bytes: Int = 0, before: Double = 0) -> RegionRecorder.Recording {
        RegionRecorder.Recording(
            regions: tasks.map { RegionRecorder.Region(place: "a place", before: before, tasks: $0, bytes: bytes) }, after: 0)
    }

    private func machine(forkJoin: Double = 0, perWorker: Double = 0, bandwidth: Double = 1e12) -> Replay.Machine {
        Replay.Machine(
            forkJoin: forkJoin, forkJoinPerWorker: perWorker, bandwidthPerWorker: bandwidth / 4, bandwidth: bandwidth)
    }

    private func seconds(_ recording: RegionRecorder.Recording, _ workers: Int, _ machine: Replay.Machine) -> Double {
        Replay(recording, workers: workers, machine: machine).seconds
    }

    @Test func evenTasksTakeTheirShareAndUnevenOnesTheLongest() {
        let even = recording([[Double](repeating: 1, count: 8)])
        for (workers, expected) in [(1, 8.0), (2, 4), (3, 3), (4, 2), (8, 1), (64, 1)] {
            #expect(seconds(even, workers, machine()) == expected)
        }
        #expect(seconds(recording([[5, 1, 1, 1]]), 2, machine()) == 5)
        // The second worker ends its own share and takes from the first one's.
        #expect(seconds(recording([[2, 2, 2, 1, 1, 1]]), 2, machine()) == 5)
    }

    @Test func forkAndJoinSerialTimeAndBandwidthCount() {
        let two = recording([[1, 1], [1, 1]], before: 0.5)
        #expect(seconds(two, 1, machine(forkJoin: 10)) == 5)
        #expect(seconds(two, 2, machine(forkJoin: 10, perWorker: 1)) == 2 * (0.5 + 10 + 1))
        let wide = recording([[1, 1, 1, 1]])
        #expect(seconds(wide, 4, machine(forkJoin: 10, perWorker: 1)) == 13)
        // 8 bytes at a byte a second for each of up to four workers.
        #expect(seconds(recording([[1, 1, 1, 1]], bytes: 8), 2, machine(bandwidth: 4)) == 4)
        #expect(seconds(recording([[1, 1, 1, 1]], bytes: 8), 4, machine(bandwidth: 4)) == 2)
    }

    @Test func recordingComputesTheSameAndNamesPlaces() throws {
        let engine = try Engine(threads: 2)
        let recorder = RegionRecorder()
        let x = Tensor.filled([300, 64])
        func linear(_ engine: Engine) -> [Float] { Linear(weight: Weight.filled([96, 64]), engine: engine).forward(x).array }
        let recorded = engine.running(on: Threads(recording: recorder, count: 64))
        recorder.start()
        let values = linear(recorded)
        let recording = recorder.stop()
        #expect(values == linear(engine))
        let product = try #require(recording.regions.last)
        #expect(product.place == "FilterProduct.run" && product.bytes > 0)
        #expect(product.tasks.count >= 30 && product.tasks.allSatisfy { $0 >= 0 })
        let count = recording.regions.count
        _ = linear(recorded)
        #expect(recorder.stop().regions.count == count, "recorded after it was stopped")
    }

    @Test func theMedianForgetsAnInterruption() {
        let recordings = [[1.0, 2], [1, 90], [3, 2]].map { recording([$0]) }
        #expect(RegionRecorder.Recording.median(recordings).regions[0].tasks == [1, 2])
    }
}
