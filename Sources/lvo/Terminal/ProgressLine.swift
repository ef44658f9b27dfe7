import Foundation

/// One line of progress on standard error: rewritten on a terminal, elsewhere a plain line now and then.
final class ProgressLine {
    private let isTerminal = isatty(STDERR_FILENO) != 0
    private var last: ContinuousClock.Instant?
    private var isOpen = false

    /// Elsewhere than on a terminal, a line is written at most so often.
    private static let interval = Duration.seconds(10)

    /// - Parameter isLast: written in any case.
    func show(_ line: @autoclosure () -> String, isLast: Bool = false) {
        let now = ContinuousClock.now
        if !isTerminal, let last, now - last < Self.interval, !isLast { return }
        last = now
        // CSI K: clear to the end of the line.
        Output.error(isTerminal ? "\r\(line())\u{1B}[K" : "\(line())\n")
        isOpen = isTerminal
    }

    /// Ends the line that is being rewritten.
    func close() {
        if isOpen { Output.error("\n") }
        isOpen = false
    }

    /// A whole line, kept.
    func say(_ line: String) {
        close()
        Output.error(line + "\n")
    }

    /// `m:ss` or `h:mm:ss`.
    static func time(_ seconds: Double) -> String {
        let whole = Int(max(0, min(seconds, 1e9)).rounded(.up))
        let (hours, minutes) = (whole / 3600, whole / 60 % 60)
        return hours > 0
            ? String(format: "%d:%02d:%02d", hours, minutes, whole % 60) : String(format: "%d:%02d", minutes, whole % 60)
    }
}

extension Duration {
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
