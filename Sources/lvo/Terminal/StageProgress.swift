import Foundation
import WorkUnits

/// The progress of a study: a line of progress, or a stream of events as NDJSON (standard output).
final class StageProgress {
    private let emitsEvents: Bool
    private let line = ProgressLine()

    init(emitsEvents: Bool) { self.emitsEvents = emitsEvents }

    func show(_ event: StageEvent) {
        if emitsEvents { return print(event.json.serialized()) }
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

    /// A line from elsewhere, for people.
    func say(_ text: String) { line.say(text) }

    /// Ends the line that is being rewritten.
    func close() { line.close() }
}
