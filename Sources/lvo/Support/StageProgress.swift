import Files
import Foundation
import Studies
import WorkUnits

/// Where a study is: a line that is rewritten on a terminal, a plain line now and then elsewhere (standard error), or a
/// stream of events as NDJSON (standard output).
final class StageProgress {
    private let emitsEvents: Bool
    private let isTerminal = isatty(STDERR_FILENO) != 0
    private var lastLine: ContinuousClock.Instant?
    private var lineIsOpen = false

    /// Elsewhere than on a terminal, a line is written at most so often.
    private static let interval = Duration.seconds(10)

    init(emitsEvents: Bool) { self.emitsEvents = emitsEvents }

    func show(_ event: StageEvent) {
        if emitsEvents { return emit(event) }
        switch event {
        case .started(let stage, let done, let left):
            if left > 0 { whole("\(stage): \(left) units to do\(done > 0 ? ", \(done) done" : "")") }
        case .unit(let stage, let id, let done, let total, let seconds, let remaining):
            let rate = String(format: "%.1f s", seconds)
            passing("\(stage) \(done)/\(total)  \(id)  \(rate)  ETA \(Self.time(remaining))", isLast: done == total)
        case .failed(let stage, let id, let error): whole("\(stage) \(id) failed: \(error)")
        case .damaged(let path): whole("\(path): damaged; it is done again")
        case .waiting(let stage, let units):
            passing("\(stage): other processes are at the last \(units) units", isLast: false)
        case .finished: close()
        }
    }

    static func time(_ seconds: Double) -> String {
        let whole = Int(max(0, min(seconds, 1e9)).rounded(.up))
        let (hours, minutes) = (whole / 3600, whole / 60 % 60)
        return hours > 0
            ? String(format: "%d:%02d:%02d", hours, minutes, whole % 60) : String(format: "%d:%02d", minutes, whole % 60)
    }

    private func whole(_ line: String) {
        close()
        Output.error(line + "\n")
    }

    private func passing(_ line: String, isLast: Bool) {
        let now = ContinuousClock.now
        if !isTerminal, let lastLine, now - lastLine < Self.interval, !isLast { return }
        lastLine = now
        // CSI K: clear to the end of the line.
        Output.error(isTerminal ? "\r\(line)\u{1B}[K" : line + "\n")
        lineIsOpen = isTerminal
    }

    private func close() {
        if lineIsOpen { Output.error("\n") }
        lineIsOpen = false
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
        Output.result(json.serialized() + "\n")
    }
}
