import Files

/// Loss or gradient of a step is no longer finite. The weights are as they were before it.
public struct TrainingDivergence: Failure, Equatable {
    /// The step that was not taken, from 1.
    public let step: Int
    /// The loss of the step.
    public let loss: Double
    /// Its gradient's norm.
    public let gradientNorm: Double
    /// The rate of the settings, before schedule and warm-up.
    public let learningRate: Double
    /// The batch itself holds NaN or infinity: no learning rate would help.
    public let isBatchDamaged: Bool
    /// Of a run in a folder: the last step that its checkpoint holds; 0 if there is none yet.
    public internal(set) var checkpointStep: Int?

    /// The settings or the activations, not the program.
    public var kind: FailureKind { .badData }

    /// One line: what happened, what is left, what to do.
    public var description: String {
        let what = "training diverged at step \(step): loss \(loss), gradient's norm \(gradientNorm)"
        let kept = checkpointStep.map { $0 > 0 ? "; the checkpoint of step \($0) is intact" : "; no checkpoint yet" } ?? ""
        return what + kept
            + (isBatchDamaged
                ? "; the activations hold NaN or infinity: capture them again"
                : "; lower the learning rate (\(learningRate))")
    }
}
