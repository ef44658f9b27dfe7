import Files
import Foundation

/// Where a long command is: a line that is rewritten on a terminal, a plain line now and then elsewhere (standard
/// error), or a stream of events as NDJSON (standard output).
final class Progress {
    private let total: Int
    private let emitsEvents: Bool
    private let isTerminal = isatty(STDERR_FILENO) != 0
    private let clock = ContinuousClock()
    private let start: ContinuousClock.Instant
    private var lastLine: ContinuousClock.Instant?
    private var done = 0
    private var lineIsOpen = false

    /// Elsewhere than on a terminal, a line is written at most so often.
    private static let interval = Duration.seconds(10)

    /// - Parameter total: steps of the whole command.
    init(total: Int, emitsEvents: Bool) {
        self.total = total
        self.emitsEvents = emitsEvents
        start = clock.now
    }

    /// One more step is done.
    func advance(_ what: @autoclosure () -> String) {
        done += 1
        if emitsEvents { return }
        let now = clock.now
        if !isTerminal, let lastLine, now - lastLine < Self.interval, done < total { return }
        lastLine = now
        let perStep = (now - start).seconds / Double(done)
        let left = Self.time(perStep * Double(total - done))
        let rate = String(format: "%.2f s/it", perStep)
        write("\(what())  \(done)/\(total)  \(rate)  ETA \(left)")
    }

    /// A line of NDJSON, if events are wanted.
    func event(_ name: String, _ members: [(String, JSON)] = []) {
        guard emitsEvents else { return }
        Output.result(JSON([("event", .string(name))] + members).serialized() + "\n")
    }

    /// A result for standard output, if events are not wanted there.
    func result(_ path: String) {
        close()
        if !emitsEvents { Output.result(path + "\n") }
    }

    /// Ends the line that is being rewritten.
    func close() {
        if lineIsOpen { Output.error("\n") }
        lineIsOpen = false
    }

    private func write(_ line: String) {
        // CSI K: clear to the end of the line.
        let text = isTerminal ? "\r\(line)\u{1B}[K" : "\(line)\n"
        lineIsOpen = isTerminal
        Output.error(text)
    }

    private static func time(_ seconds: Double) -> String {
        let whole = Int(max(0, min(seconds, 1e9)).rounded(.up))
        let (hours, minutes) = (whole / 3600, whole / 60 % 60)
        return hours > 0 ? String(format: "%d:%02d:%02d", hours, minutes, whole % 60)
            : String(format: "%d:%02d", minutes, whole % 60)
    }
}

extension Duration {
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
