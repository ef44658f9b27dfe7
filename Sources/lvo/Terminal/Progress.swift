import Files
import Foundation

/// The progress of a command with a known number of steps: a line of progress, or a stream of events as
/// NDJSON (standard output).
final class Progress {
    private let total: Int
    private let emitsEvents: Bool
    private let line = ProgressLine()
    private let start = ContinuousClock.now
    private var done = 0

    /// - Parameter total: steps of the whole command.
    init(total: Int, emitsEvents: Bool = false) {
        self.total = total
        self.emitsEvents = emitsEvents
    }

    /// One more step is done.
    func advance(_ what: @autoclosure () -> String) {
        done += 1
        if emitsEvents { return }
        let perStep = (ContinuousClock.now - start).seconds / Double(done)
        let left = ProgressLine.time(perStep * Double(total - done))
        let rate = String(format: "%.2f s/it", perStep)
        line.show("\(what())  \(done)/\(total)  \(rate)  ETA \(left)", isLast: done == total)
    }

    /// What the command is waiting for.
    func show(_ what: @autoclosure () -> String) {
        if !emitsEvents { line.show(what()) }
    }

    /// A line of NDJSON, if events are wanted.
    func event(_ name: String, _ members: [(String, JSON)] = []) {
        guard emitsEvents else { return }
        print(JSON([("event", .string(name))] + members).serialized())
    }

    /// A result for standard output, if events are not wanted there.
    func result(_ path: String) {
        close()
        if !emitsEvents { print(path) }
    }

    /// Ends the line that is being rewritten.
    func close() { line.close() }
}
