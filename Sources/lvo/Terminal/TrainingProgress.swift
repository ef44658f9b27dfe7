import Experiments
import Foundation
import SparseAutoencoders

/// The progress of training: a line on standard output every so many steps, and on standard error the
/// progress of the pictures that fill the buffer, since the first step may be minutes away.
final class TrainingProgress {
    private let every: Int
    private let line = ProgressLine()
    private let start = ContinuousClock.now
    /// Steps still to do at the start, and done since.
    private var steps = 0
    private var done = 0

    /// - Parameter every: steps between lines; 0: none.
    init(every: Int) { self.every = every }

    func show(_ event: AutoencoderTraining.Event) {
        switch event {
        case .began(let run):
            let (step, steps) = (run.trainer.step, run.trainer.options.steps)
            if step > 0 { note("\(run.hookpoint): going on after step \(step) of \(steps)") }
            self.steps += steps - step
        case .step(let run, let metrics): show(run, metrics)
        case .waiting(let missing):
            if every > 0 { line.show("after \(done) steps: waiting for \(missing)") }
        case .finished(let folder):
            line.close()
            print(folder)
        }
    }

    private func show(_ run: TrainingRun, _ metrics: TrainingMetrics) {
        done += 1
        let last = run.trainer.options.steps
        guard every > 0, metrics.step % every == 0 || metrics.step == last else { return }
        line.close()
        let perStep = (ContinuousClock.now - start).seconds / Double(done)
        let report = metrics.report
        print(
            String(
                format: "%@ %d/%d  FVU %.4f  explained %.4f  L0 %.1f  dead %.2f %%  fired %.1f %%  AuxK %.4f  lr %.2e  "
                    + "%.0f tokens/s  ETA %@",
                run.hookpoint, metrics.step, last, report.fvu, report.explainedVariance, report.l0,
                metrics.deadPercent, metrics.firedPercent, report.auxk, metrics.learningRate, metrics.tokensPerSecond,
                ProgressLine.time(perStep * Double(steps - done))))
    }

    func show(picture: Int, call: Int, of calls: Int) {
        if every > 0 { line.show("drawing picture \(picture + 1), step \(call + 1) of \(calls)") }
    }
}
