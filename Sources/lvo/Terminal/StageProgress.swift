import Files
import Foundation
import Studies
import WorkUnits

/// The progress of a study: a line of progress, or a stream of events as NDJSON (standard output).
final class StageProgress {
    private let emitsEvents: Bool
    private let line = ProgressLine()

    init(emitsEvents: Bool) { self.emitsEvents = emitsEvents }

    func show(_ event: StageEvent) {
        if emitsEvents { return emit(event) }
        switch event {
        case .started(let stage, let done, let left):
            if left > 0 { line.say("\(stage): \(left) units to do\(done > 0 ? ", \(done) done" : "")") }
        case .unit(let stage, let id, let done, let total, let seconds, let remaining):
            let rate = String(format: "%.1f s", seconds)
            let left = ProgressLine.time(remaining)
            line.show("\(stage) \(done)/\(total)  \(id)  \(rate)  ETA \(left)", isLast: done == total)
        case .failed(let stage, let id, let error): line.say("\(stage) \(id) failed: \(error)")
        case .damaged(let path): line.say("\(path): damaged; it is done again")
        case .waiting(let stage, let units):
            line.show("\(stage): other processes are at the last \(units) units")
        case .finished: line.close()
        }
    }

    private func emit(_ event: StageEvent) {
        let json: JSON
        switch event {
        case .started(let stage, let done, let left):
            json = ["event": "stage", "stage": .string(stage), "done": .integer(done), "left": .integer(left)]
        case .unit(let stage, let id, let done, let total, let seconds, let remaining):
            json = [
                "event": "unit", "stage": .string(stage), "unit": .string(id), "done": .integer(done),
                "of": .integer(total), "seconds": .number(seconds), "seconds_left": .number(remaining),
            ]
        case .failed(let stage, let id, let error):
            json = ["event": "failed", "stage": .string(stage), "unit": .string(id), "error": .string(error)]
        case .damaged(let path): json = ["event": "damaged", "path": .string(path)]
        case .waiting(let stage, let units):
            json = ["event": "waiting", "stage": .string(stage), "units": .integer(units)]
        case .finished(let stage, let computed, let failed):
            json = [
                "event": "finished", "stage": .string(stage), "computed": .integer(computed), "failed": .integer(failed),
            ]
        }
        print(json.serialized())
    }
}
