import Visualization

/// Defaults of the optimization's parameters, per preset and kind of target.
struct OptimizationDefaults {
    var start = "prior"
    var settings: DreamSettings

    static let presets = ["paper", "tuned"]

    static func channels(preset: String) -> OptimizationDefaults {
        OptimizationDefaults(settings: DreamSettings(.raw)).tuned(if: preset == "tuned")
    }

    static func features(preset: String) -> OptimizationDefaults {
        OptimizationDefaults(settings: DreamSettings(.sae)).tuned(if: preset == "tuned")
    }

    /// Settings that reach further than the paper's on the embedded model (docs/dreams.md).
    private func tuned(if wanted: Bool) -> OptimizationDefaults {
        guard wanted else { return self }
        var defaults = self
        defaults.start = "noise"
        defaults.settings.steps = 200
        defaults.settings.rectifier = .leaky
        defaults.settings.coupling = .independent
        return defaults
    }
}
