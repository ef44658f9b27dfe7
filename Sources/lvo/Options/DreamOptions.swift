import ArgumentParser
import Experiments
import Files
import Visualization

extension DreamSettings.Preset: ExpressibleByArgument {}
extension Rectifier: ExpressibleByArgument {}
extension Coupling: ExpressibleByArgument {}

/// Every parameter of the optimization, as in `DreamParameters`: only the options' types are declared here.
/// Options that are not given take the preset's values.
struct DreamOptions: ParsableArguments {
    /// A row's help and defaults.
    static func help(_ key: String) -> ArgumentHelp {
        let row = DreamParameters.row(key)
        return ArgumentHelp(stringLiteral: row.map { "\($0.help) \($0.defaults)" } ?? "")
    }

    @Option(
        help: """
            clear: from pictures that the model draws by itself, gently raised and drawn again; tuned: from noise, and \
            farther, with less to be recognized (docs/sweep.md); raw and sae: the paper's settings for channels and for \
            features.
            """)
    var preset = DreamSettings.Preset.clear

    @Option(parsing: .unconditional, help: "Robustness preset 0…3 for jitter, rotation, scale; 1 is the paper's.")
    var robustness: Int?

    @Option(parsing: .unconditional, help: help("steps")) var steps: Int?
    @Option(parsing: .unconditional, help: help("learning_rate")) var learningRate: Double?
    @Option(parsing: .unconditional, help: help("total_variation")) var totalVariation: Double?
    @Option(parsing: .unconditional, help: help("range")) var range: Double?
    @Option(parsing: .unconditional, help: help("range_threshold")) var rangeThreshold: Double?
    @Option(parsing: .unconditional, help: help("moment")) var moment: Double?
    @Option(parsing: .unconditional, help: help("sigma_start")) var sigmaStart: Double?
    @Option(parsing: .unconditional, help: help("sigma_end")) var sigmaEnd: Double?
    @Flag(inversion: .prefixedNo, help: help("spectral_filter")) var spectralFilter: Bool?
    @Option(parsing: .unconditional, help: help("jitter")) var jitter: Int?
    @Option(parsing: .unconditional, help: help("rotate")) var rotate: Double?
    @Option(parsing: .unconditional, help: help("scale")) var scale: Double?
    @Flag(inversion: .prefixedNo, help: help("schedule_noise")) var scheduleNoise: Bool?
    @Option(parsing: .unconditional, help: help("noise_draws")) var noiseDraws: Int?
    @Option(parsing: .unconditional, help: help("timestep_spread")) var timestepSpread: Int?
    @Option(help: help("rectifier")) var rectifier: Rectifier?
    @Option(name: .customLong("where"), parsing: .upToNextOption, help: help("where")) var location: [String] = []
    @Option(help: help("coupling")) var coupling: Coupling?
    @Option(parsing: .unconditional, help: help("diversity")) var diversity: Double?
    @Option(parsing: .unconditional, help: help("redraws")) var redraws: Int?
    @Option(parsing: .unconditional, help: help("redraw_start")) var redrawStart: Int?
    @Option(parsing: .unconditional, help: help("redraw_end")) var redrawEnd: Int?
    @Option(parsing: .unconditional, help: help("redraw_steps")) var redrawSteps: Int?
    @Option(parsing: .unconditional, help: help("redraw_draws")) var redrawDraws: Int?

    /// `--where` as it was given: `mask FILE` and `peak 4` may be two words.
    static func location(_ words: [String]) throws -> Where {
        guard let location = Where(words.joined(separator: ":")) else {
            throw ValidationError("--where: expected \(Where.expected), found \(words.joined(separator: " "))")
        }
        return location
    }

    /// The options that were given, by the rows' keys.
    private var given: [String: JSON?] {
        [
            "steps": steps.map(JSON.integer), "learning_rate": learningRate.map(JSON.number),
            "total_variation": totalVariation.map(JSON.number), "range": range.map(JSON.number),
            "range_threshold": rangeThreshold.map(JSON.number), "moment": moment.map(JSON.number),
            "sigma_start": sigmaStart.map(JSON.number), "sigma_end": sigmaEnd.map(JSON.number),
            "spectral_filter": spectralFilter.map(JSON.bool), "jitter": jitter.map(JSON.integer),
            "rotate": rotate.map(JSON.number), "scale": scale.map(JSON.number),
            "schedule_noise": scheduleNoise.map(JSON.bool), "noise_draws": noiseDraws.map(JSON.integer),
            "where": location.isEmpty ? nil : .string(location.joined(separator: ":")),
            "timestep_spread": timestepSpread.map(JSON.integer),
            "rectifier": rectifier.map { .string($0.rawValue) }, "coupling": coupling.map { .string($0.rawValue) },
            "diversity": diversity.map(JSON.number), "redraws": redraws.map(JSON.integer),
            "redraw_start": redrawStart.map(JSON.integer), "redraw_end": redrawEnd.map(JSON.integer),
            "redraw_steps": redrawSteps.map(JSON.integer), "redraw_draws": redrawDraws.map(JSON.integer),
        ]
    }

    /// - Throws: `SimpleFailure(.usage)` for values out of range.
    func settings() throws -> DreamSettings {
        var settings = DreamSettings(preset)
        if let robustness { try settings.setRobustness(robustness) }
        for row in DreamParameters.all {
            if case let value?? = given[row.key] { try row.assign(value, to: &settings, name: "--\(row.option)") }
        }
        try settings.validate()
        return settings
    }
}
