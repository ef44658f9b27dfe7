import Files
import Optimizers

/// How an autoencoder is trained. Defaults are those of the published trainer, except the batch's source.
public struct TrainingOptions: Sendable, Equatable {
    /// Tokens of a batch.
    public var batchTokens = 4096
    /// Updates of the whole run.
    public var steps = 1000
    /// Nil: 2e-4 / √(L / 2¹⁴).
    public var learningRate: Double?
    /// How the learning rate changes after the warm-up.
    public var schedule = LearningRateSchedule.constant
    /// Updates over which the learning rate rises from 0.
    public var warmUp = 0
    /// Weights of the loss's terms.
    public var loss = LossOptions()
    /// Bound on the gradient's global norm.
    public var maxGradientNorm = 1.0
    /// A feature that was not selected for more than so many tokens is a dead latent.
    public var deadAfterTokens = 10_000_000
    /// Every so many updates dead latents start anew from badly reconstructed tokens; 0: never.
    public var resampleEvery = 0
    /// Of the start, of new starts, and of a store's order.
    public var seed: UInt64 = 0

    /// The published trainer's.
    public init() {}

    /// The rate before schedule and warm-up.
    public func learningRate(for configuration: SAEConfiguration) -> Double {
        learningRate ?? 2e-4 / (Double(configuration.numLatents) / 16384).squareRoot()
    }

    /// What a checkpoint remembers, so that a run is not continued under other settings.
    public var json: JSON {
        [
            "batch_tokens": .integer(batchTokens), "steps": .integer(steps),
            "learning_rate": learningRate.map { .number($0) } ?? .null, "schedule": .string(schedule.rawValue),
            "warm_up": .integer(warmUp), "auxk_alpha": .float(loss.auxkAlpha), "l1": .float(loss.l1Coefficient),
            "l0": .float(loss.l0Coefficient), "bandwidth": .float(loss.bandwidth),
            "max_gradient_norm": .number(maxGradientNorm), "dead_after_tokens": .integer(deadAfterTokens),
            "resample_every": .integer(resampleEvery), "seed": .string(String(seed)),
        ]
    }
}
