import Files

/// How a latent is optimized: every parameter, with the defaults of the paper's code.
public struct DreamSettings: Sendable, Equatable {
    /// Named sets of parameters.
    public enum Preset: String, Sendable, CaseIterable {
        /// The paper's for a layer's own channels.
        case raw
        /// The paper's for SAE features.
        case sae
        /// Beyond the paper: farther reach (docs/sweep.md has the measurements). Differs by what is sought.
        case tuned
    }

    /// What is sought in a layer.
    public enum Target: String, Sendable, CaseIterable {
        case channels
        case features
    }

    public var steps = 100
    public var learningRate = 0.05
    public var penalties = Penalties(totalVariation: 0.5, range: 0.5)
    /// Smoothing of the gradient, from the first step to the last; none where ≤ 0.
    public var sigmaStart = 0.5
    public var sigmaEnd = 0.0
    public var spectralFilter = true
    /// Largest roll either way, in places of the latent.
    public var jitter = 1
    /// Largest rotation either way, in degrees.
    public var rotate = 5.0
    /// Largest enlargement.
    public var scale = 1.1
    /// Whether the layer sees the latent as noisy as the schedule makes the time step.
    public var scheduleNoise = true
    /// Draws of noise and augmentation whose gradients are averaged in a step; each costs a pass.
    public var noiseDraws = 1
    public var rectifier = Rectifier.relu
    public var coupling = Coupling.coupled
    /// Weight of the likeness among the results of a batch, which is to be small.
    public var diversity = 0.0

    /// - Parameter target: what `tuned` is to be for; the paper's presets are for one of them each.
    public init(_ preset: Preset = .raw, for target: Target = .features) {
        if preset == .raw { return }
        penalties = Penalties(range: 0.5, moment: preset == .sae ? 0.5 : 0.05)
        sigmaStart = 0
        if preset == .sae { return }
        rectifier = .leaky
        coupling = .independent
        (jitter, rotate, scale) = Self.robustnessLevels[0]
    }

    /// The paper's settings for what is sought.
    public static func paper(for target: Target) -> DreamSettings {
        DreamSettings(target == .channels ? .raw : .sae)
    }

    /// The seeds of the paper's code.
    public static let seeds: [UInt64] = [1024, 1111, 4359, 3248, 1026]

    /// AdamW's λ, torch's default.
    public static let weightDecay = 0.01

    /// Robustness presets: jitter, degrees, enlargement. Level 1 is the paper's.
    public static let robustnessLevels: [(jitter: Int, rotate: Double, scale: Double)] = [
        (0, 0, 1), (1, 5, 1.1), (8, 15, 1.2), (16, 45, 1.8),
    ]

    /// - Throws: `SimpleFailure(.usage)` for a level that there is none of.
    public mutating func setRobustness(_ level: Int) throws {
        guard Self.robustnessLevels.indices.contains(level) else {
            throw SimpleFailure(.usage, "robustness level \(level): expected 0 to \(Self.robustnessLevels.count - 1)")
        }
        (jitter, rotate, scale) = Self.robustnessLevels[level]
    }

    /// - Throws: `SimpleFailure(.usage)` for a value outside its range.
    public func validate() throws {
        try Self.expect(steps > 0, "steps", steps, "at least 1")
        try Self.expect(jitter >= 0, "jitter", jitter, "at least 0")
        try Self.expect((1...1000).contains(noiseDraws), "noise draws", noiseDraws, "1 to 1000")
        let weights = [
            ("total variation", penalties.totalVariation), ("range", penalties.range),
            ("range threshold", penalties.rangeThreshold), ("moment", penalties.moment), ("diversity", diversity),
            ("sigma start", sigmaStart), ("sigma end", sigmaEnd), ("rotate", rotate),
        ]
        for (name, value) in weights { try Self.expect(value.isFinite && value >= 0, name, value, "a number from 0") }
        try Self.expect(learningRate.isFinite && learningRate > 0, "learning rate", learningRate, "a number above 0")
        try Self.expect(scale.isFinite && scale >= 1, "scale", scale, "a number from 1")
        if diversity > 0 && coupling == .independent {
            throw SimpleFailure(
                .usage, "diversity compares the results of a batch, so it needs coupled results, found independent")
        }
    }

    private static func expect(_ holds: Bool, _ name: String, _ found: some Sendable, _ expected: String) throws {
        if !holds { throw SimpleFailure(.usage, "\(name): expected \(expected), found \(found)") }
    }

    /// Every parameter, for records.
    public var json: JSON {
        [
            "steps": .integer(steps), "learning_rate": .number(learningRate),
            "total_variation": .number(penalties.totalVariation), "range": .number(penalties.range),
            "range_threshold": .number(penalties.rangeThreshold), "moment": .number(penalties.moment),
            "sigma_start": .number(sigmaStart), "sigma_end": .number(sigmaEnd),
            "spectral_filter": .bool(spectralFilter), "jitter": .integer(jitter), "rotate": .number(rotate),
            "scale": .number(scale), "schedule_noise": .bool(scheduleNoise), "noise_draws": .integer(noiseDraws),
            "rectifier": .string(rectifier.rawValue), "coupling": .string(coupling.rawValue),
            "diversity": .number(diversity),
        ]
    }
}
