import Files
import Visualization

/// Every parameter of the dream, once, in the order of records.
public enum DreamParameters {
    private static let weight = DreamParameter.Kind.number(0...1e6)

    /// Every parameter, in the order of help and records.
    public static let all: [DreamParameter] = [
        .init("steps", \.steps, 1...1_000_000, "Steps."),
        .init("learning_rate", \.learningRate, .positive(1000), "Learning rate of AdamW."),
        .init("total_variation", \.penalties.totalVariation, weight, "Weight of the total variation."),
        .init("range", \.penalties.range, weight, "Weight of the penalty on values beyond the threshold."),
        .init("range_threshold", \.penalties.rangeThreshold, weight, "Where that penalty begins."),
        .init("moment", \.penalties.moment, weight, "Weight of the penalty on mean ≠ 0 and deviation ≠ 1."),
        .init(
            "sigma_start", \.sigmaStart, .number(0...100),
            "Smoothing of the gradient at the first step, in latent places."),
        .init("sigma_end", \.sigmaEnd, .number(0...100), "Smoothing of the gradient at the last step."),
        .init("spectral_filter", \.spectralFilter, "Damp high frequencies of the gradient."),
        .init("jitter", \.jitter, 0...10_000, "Largest random roll, in latent places."),
        .init("rotate", \.rotate, .number(0...180), "Largest random rotation, in degrees."),
        .init("scale", \.scale, .number(1...100), "Largest random enlargement."),
        .init("schedule_noise", \.scheduleNoise, "Noise as the schedule has it at the time step."),
        .init("noise_draws", \.noiseDraws, 1...1000, "Draws of noise and augmentation averaged in a step."),
        .init(
            "timestep_spread", \.timestepSpread, 0...1000,
            "Standard deviation of the time steps that the steps look at, around the dream's own."),
        .init(
            "rectifier", \.rectifier,
            "What a feature's pre-activation passes through: relu (the paper's; a feature that is off cannot rise), leaky, "
                + "none."),
        .init(
            "where", \.where,
            "Where in the layer's map: mean, everywhere; peak:SHARPNESS, wherever it is strongest; x,y, at one position; "
                + "mask:FILE, where a picture is bright."),
        .init(
            "coupling", \.coupling,
            "coupled: the results of a batch share statistics and augmentation, as in the paper; independent: each is what "
                + "it would be alone."),
        .init("diversity", \.diversity, weight, "Weight of a term that makes the results of a batch differ."),
        .init(
            "redraws", \.redraws, 0...10_000,
            "How often latents are noised and drawn again by the model: evenly over the steps, at most once a step."),
        .init(
            "redraw_start", \.redrawStart, 1...999,
            "Time step to which latents are noised in the first round, before they are drawn again."),
        .init("redraw_end", \.redrawEnd, 1...999, "The same in the last round; between them it changes evenly."),
        .init("redraw_steps", \.redrawSteps, 1...1000, "U-Net calls of drawing again."),
        .init("redraw_draws", \.redrawDraws, 1...1000, "Candidates drawn in a round, of which the most active goes on."),
    ]

    /// The row of that key.
    public static func row(_ key: String) -> DreamParameter? { all.first { $0.key == key } }
}

extension DreamSettings {
    /// Every parameter, for records.
    public var json: JSON { JSON(DreamParameters.all.map { ($0.key, $0.value(in: self)) }) }

    /// The settings of `json`; what it does not name is as in `settings`. Other members are ignored.
    ///
    /// - Throws: `SimpleFailure(.usage)` for a value outside its range.
    public init(_ json: JSON, over settings: DreamSettings = DreamSettings()) throws {
        self = settings
        for row in DreamParameters.all {
            if let value = json[row.key] { try row.assign(value, to: &self) }
        }
        try validate()
    }

    /// - Throws: `SimpleFailure(.usage)` for a value outside its range, or values that exclude each other.
    public func validate() throws {
        var copy = self
        for row in DreamParameters.all { try row.assign(row.value(in: self), to: &copy) }
        if diversity > 0 && coupling == .independent {
            throw SimpleFailure(
                .usage, "diversity compares the results of a batch, so it needs coupled results, found independent")
        }
    }
}
