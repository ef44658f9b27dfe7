import Files

/// Trains the runs of one stream side by side: always the one that has taken the fewest pictures, so that few maps wait.
///
/// - Parameter shallStop: asked before every step. Then, and when the pictures' maker throws an error of the kind
///   `stoppedEarly`, all runs are saved.
public func trainTogether(
    _ runs: [(run: TrainingRun, source: StreamSource)], shallStop: () -> Bool,
    progress: (TrainingRun, TrainingMetrics) -> Void
) throws {
    // One that was killed after its last checkpoint has yet to write its result.
    for (run, _) in runs where run.isFinished { try run.advance(0) }
    var active = runs
    do {
        while !shallStop() {
            for (run, source) in active where run.isFinished { source.release() }
            active.removeAll { $0.run.isFinished }
            guard let next = active.min(by: { $0.source.picture < $1.source.picture }) else { return }
            try next.run.advance(1, progress: { progress(next.run, $0) })
        }
    } catch let error as any Failure where error.kind == .stoppedEarly {
        // Between two steps, as above: a batch that was not filled has taken nothing from its source for good.
    }
    for (run, _) in active where !run.isFinished { try run.save() }
}
