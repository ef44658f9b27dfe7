import ArgumentParser
import Tensors
import Visualization

extension DreamSettings.Preset: ExpressibleByArgument {}
extension Rectifier: ExpressibleByArgument {}
extension Coupling: ExpressibleByArgument {}

/// Every parameter of the optimization. What is not given is the preset's.
struct DreamOptions: ParsableArguments {
    private static let raw = DreamSettings.paper(for: .channels)
    private static let sae = DreamSettings.paper(for: .features)

    /// `0.5 raw, 0.0 sae`, or one number where they agree.
    private static func standard(_ value: (DreamSettings) -> some CustomStringConvertible) -> String {
        let (raw, sae) = ("\(value(raw))", "\(value(sae))")
        return raw == sae ? "Default: \(raw)." : "Default: \(raw) raw, \(sae) sae."
    }

    @Option(
        help: """
            raw and sae: the paper's settings for channels and for features; tuned: settings that reach farther, for \
            either (docs/sweep.md). Default: raw or sae, by what is sought.
            """)
    var preset: DreamSettings.Preset?

    @Option(parsing: .unconditional, help: "Steps. \(standard { $0.steps })")
    var steps: Int?

    @Option(parsing: .unconditional, help: "Learning rate of AdamW. \(standard { $0.learningRate })")
    var learningRate: Double?

    @Option(
        parsing: .unconditional,
        help: "Weight of the total variation. \(standard { $0.penalties.totalVariation })")
    var totalVariation: Double?

    @Option(
        parsing: .unconditional,
        help: "Weight of the penalty on values beyond the threshold. \(standard { $0.penalties.range })")
    var range: Double?

    @Option(parsing: .unconditional, help: "Where that penalty begins. \(standard { $0.penalties.rangeThreshold })")
    var rangeThreshold: Double?

    @Option(
        parsing: .unconditional,
        help: "Weight of the penalty on mean ≠ 0 and deviation ≠ 1. \(standard { $0.penalties.moment })")
    var moment: Double?

    @Option(
        parsing: .unconditional,
        help: "Smoothing of the gradient at the first step, in latent places. \(standard { $0.sigmaStart })")
    var sigmaStart: Double?

    @Option(parsing: .unconditional, help: "Smoothing of the gradient at the last step. \(standard { $0.sigmaEnd })")
    var sigmaEnd: Double?

    @Flag(inversion: .prefixedNo, help: "Damp high frequencies of the gradient. \(standard { $0.spectralFilter })")
    var spectralFilter: Bool?

    @Option(parsing: .unconditional, help: "Robustness preset 0…3 for jitter, rotation, scale; 1 is the paper's.")
    var robustness: Int?

    @Option(parsing: .unconditional, help: "Largest random roll, in latent places. \(standard { $0.jitter })")
    var jitter: Int?

    @Option(parsing: .unconditional, help: "Largest random rotation, in degrees. \(standard { $0.rotate })")
    var rotate: Double?

    @Option(parsing: .unconditional, help: "Largest random enlargement. \(standard { $0.scale })")
    var scale: Double?

    @Flag(
        inversion: .prefixedNo,
        help: "Noise as the schedule has it at the time step. \(standard { $0.scheduleNoise })")
    var scheduleNoise: Bool?

    @Option(
        parsing: .unconditional,
        help: "Draws of noise and augmentation averaged in a step. \(standard { $0.noiseDraws })")
    var noiseDraws: Int?

    @Option(
        help: """
            What a feature's pre-activation passes through: relu (the paper's; a feature that is off cannot rise), \
            leaky, none. \(standard { $0.rectifier.rawValue })
            """)
    var rectifier: Rectifier?

    @Option(
        help: """
            coupled: the results of a batch share statistics and augmentation, as in the paper; independent: each is \
            what it would be alone. \(standard { $0.coupling.rawValue })
            """)
    var coupling: Coupling?

    @Option(
        parsing: .unconditional,
        help: "Weight of a term that makes the results of a batch differ. \(standard { $0.diversity })")
    var diversity: Double?

    /// - Parameter target: what is sought: it decides the preset if none is given, and what `tuned` is.
    /// - Throws: `SimpleFailure(.usage)` for values out of range.
    func settings(for target: DreamSettings.Target) throws -> DreamSettings {
        var settings = preset.map { DreamSettings($0, for: target) } ?? .paper(for: target)
        if let robustness { try settings.setRobustness(robustness) }
        func set<T>(_ path: WritableKeyPath<DreamSettings, T>, _ value: T?) {
            if let value { settings[keyPath: path] = value }
        }
        set(\.steps, steps)
        set(\.learningRate, learningRate)
        set(\.penalties.totalVariation, totalVariation)
        set(\.penalties.range, range)
        set(\.penalties.rangeThreshold, rangeThreshold)
        set(\.penalties.moment, moment)
        set(\.sigmaStart, sigmaStart)
        set(\.sigmaEnd, sigmaEnd)
        set(\.spectralFilter, spectralFilter)
        set(\.jitter, jitter)
        set(\.rotate, rotate)
        set(\.scale, scale)
        set(\.scheduleNoise, scheduleNoise)
        set(\.noiseDraws, noiseDraws)
        set(\.rectifier, rectifier)
        set(\.coupling, coupling)
        set(\.diversity, diversity)
        try settings.validate()
        return settings
    }
}

extension DreamSettings {
    /// The options of `lvo dream` that give these settings whatever the presets.
    var arguments: [String] {
        [
            "--steps", "\(steps)", "--learning-rate", "\(learningRate)",
            "--total-variation", "\(penalties.totalVariation)", "--range", "\(penalties.range)",
            "--range-threshold", "\(penalties.rangeThreshold)", "--moment", "\(penalties.moment)",
            "--sigma-start", "\(sigmaStart)", "--sigma-end", "\(sigmaEnd)",
            spectralFilter ? "--spectral-filter" : "--no-spectral-filter",
            "--jitter", "\(jitter)", "--rotate", "\(rotate)", "--scale", "\(scale)",
            scheduleNoise ? "--schedule-noise" : "--no-schedule-noise",
            "--noise-draws", "\(noiseDraws)", "--rectifier", rectifier.rawValue, "--coupling", coupling.rawValue,
            "--diversity", "\(diversity)",
        ]
    }
}
