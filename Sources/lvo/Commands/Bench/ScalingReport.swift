import Benchmarking
import Files
import Foundation
import Parallel

/// Predictions for several numbers of workers, and what limits the last of them.
final class ScalingReport {
    private let machine: Replay.Machine
    private var rows: [(replay: Replay, work: Double, measured: Double?)] = []
    private var last: [RegionRecorder.Region] = []

    init(machine: Replay.Machine) { self.machine = machine }

    var header: String { "cores  predicted s  speed-up  efficiency  serial  measured s  error" }

    /// The work of the first recording is the measure of speed-up.
    func add(_ recording: RegionRecorder.Recording, workers: Int, measured: Double?) -> String {
        let replay = Replay(recording, workers: workers, machine: machine)
        let work = Replay(recording, workers: 1, machine: machine).seconds
        rows.append((replay, work, measured))
        last = recording.regions
        let speedup = rows[0].work / replay.seconds
        let comparison = measured.map { String(format: "%12.3f %5.0f%%", $0, 100 * (replay.seconds / $0 - 1)) }
        return String(
            format: "%5d %12.4f %9.1f %10.0f%% %6.1f%% %@", workers, replay.seconds, speedup,
            100 * speedup / Double(workers), 100 * replay.serial / replay.seconds, comparison ?? "           –     –")
    }

    /// Where the most time goes beyond an even share of the work, by place in the source, on the last number of workers.
    func limits(_ count: Int) -> String {
        guard let row = rows.last else { return "" }
        let workers = Double(row.replay.workers)
        var places: [String: (lost: Double, regions: Int, fewest: Int)] = [:]
        for (region, seconds) in zip(last, row.replay.regions) {
            let lost = seconds - region.tasks.reduce(0, +) / workers
            let known = places[region.place] ?? (0, 0, .max)
            places[region.place] = (known.lost + lost, known.regions + 1, min(known.fewest, region.tasks.count))
            let gap = "on one thread before \(region.place)"
            places[gap] = ((places[gap]?.lost ?? 0) + region.before, (places[gap]?.regions ?? 0) + 1, 1)
        }
        let lines = places.sorted { $0.value.lost > $1.value.lost }.prefix(count).map { place, value in
            String(format: "%9.2f %8d %13d   ", 1e3 * value.lost, value.regions, value.fewest) + place
        }
        return "\nmilliseconds lost on \(row.replay.workers) cores\n     lost  regions  fewest tasks   place\n"
            + lines.joined(separator: "\n")
    }

    func json(_ name: String) -> JSON {
        let predictions = rows.map { row -> JSON in
            [
                "cores": .integer(row.replay.workers), "seconds": .number(row.replay.seconds),
                "efficiency": .number(rows[0].work / row.replay.seconds / Double(row.replay.workers)),
                "serial_seconds": .number(row.replay.serial), "regions": .integer(row.replay.regions.count),
                "measured_seconds": row.measured.map(JSON.number) ?? .null,
            ]
        }
        return [
            "name": .string(name), "fork_join_seconds": .number(machine.forkJoin),
            "fork_join_seconds_per_worker": .number(machine.forkJoinPerWorker),
            "bandwidth_per_worker": .number(machine.bandwidthPerWorker), "bandwidth": .number(machine.bandwidth),
            "predictions": .array(predictions),
        ]
    }
}
