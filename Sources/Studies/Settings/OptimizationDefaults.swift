/// Defaults of the optimization's parameters, per preset and kind of target.
struct OptimizationDefaults {
    var start = "prior"
    var steps = 100
    var learningRate = 0.05
    var totalVariation = 0.5
    var range = 0.5
    var moment = 0.0
    var sigmaStart = 0.5
    var sigmaEnd = 0.0
    var spectralFilter = true
    var jitter = 1
    var rotate = 5.0
    var scale = 1.1
    var scheduleNoise = true
    var rectifier = "relu"
    var batch = "coupled"

    static let presets = ["paper", "tuned"]

    static func channels(preset: String) -> OptimizationDefaults {
        var defaults = OptimizationDefaults()
        if preset == "tuned" { defaults.tune() }
        return defaults
    }

    static func features(preset: String) -> OptimizationDefaults {
        var defaults = OptimizationDefaults(totalVariation: 0, moment: 0.5, sigmaStart: 0)
        if preset == "tuned" { defaults.tune() }
        return defaults
    }

    /// What the sweep in docs/measures.md found better than the paper's settings.
    private mutating func tune() {
        start = "noise"
        steps = 200
        rectifier = "leaky"
        batch = "independent"
    }
}
