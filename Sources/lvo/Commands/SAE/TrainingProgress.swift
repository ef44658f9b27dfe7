import Foundation
import SparseAutoencoders

/// What training says while it goes on: a line on standard output every so many steps, and on standard error how far the
/// pictures are that fill the buffer, since the first step may be minutes away.
final class TrainingProgress {
    private let every: Int
    private let isTerminal = isatty(STDERR_FILENO) != 0
    private let start = ContinuousClock.now
    /// Steps still to do at the start, and done since.
    private var steps = 0
    private var done = 0
    private var lastPicture: ContinuousClock.Instant?

    /// On a file, a picture is reported at most so often.
    private static let interval = Duration.seconds(10)

    init(every: Int) { self.every = every }

    func add(_ run: TrainingRun) {
        let (step, steps) = (run.trainer.step, run.trainer.options.steps)
        if step > 0 { note("\(run.hookpoint): going on after step \(step) of \(steps)") }
        self.steps += steps - step
    }

    func show(_ run: TrainingRun, _ line: TrainingMetrics) {
        done += 1
        let last = run.trainer.options.steps
        guard every > 0, line.step % every == 0 || line.step == last else { return }
        let perStep = (ContinuousClock.now - start).seconds / Double(done)
        let text = String(
            format: "%@ %d/%d  FVU %.4f  explained %.4f  L0 %.1f  dead %.2f %%  fired %.1f %%  AuxK %.4f  lr %.2e  "
                + "%.0f tokens/s  ETA %@\n",
            run.hookpoint, line.step, last, line.report.fvu, line.report.explainedVariance, line.report.active,
            line.deadPercent, line.firedPercent, line.report.auxk, line.learningRate, line.tokensPerSecond,
            StageProgress.time(perStep * Double(steps - done)))
        // Unbuffered: a log shows it now.
        Output.result(text)
    }

    func show(picture: Int, call: Int, of calls: Int) {
        guard every > 0 else { return }
        let now = ContinuousClock.now
        if let lastPicture, !isTerminal, now - lastPicture < Self.interval { return }
        lastPicture = now
        let text = "drawing picture \(picture + 1), step \(call + 1) of \(calls)"
        Output.error(isTerminal ? "\r\(text)\u{1B}[K" : "lvo: \(text)\n")
        if isTerminal, call + 1 == calls { Output.error("\r\u{1B}[K") }
    }
}
