import Visualization

/// Defaults of the optimization's parameters, per preset and kind of target: those of `lvo dream`, and where to start.
struct OptimizationDefaults {
    let start: String
    let settings: DreamSettings

    static let presets = ["paper", "tuned"]

    /// The paper starts from priors; noise reaches as far and shows what is sought alone (docs/sweep.md).
    init(_ target: DreamSettings.Target, preset: String) {
        let isTuned = preset == "tuned"
        start = isTuned ? "noise" : "prior"
        settings = isTuned ? DreamSettings(.tuned, for: target) : .paper(for: target)
    }
}
