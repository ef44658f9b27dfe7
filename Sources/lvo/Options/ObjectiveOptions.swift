import ArgumentParser
import Experiments
import Files
import StableDiffusion
import Visualization

/// The objective of a dream.
struct ObjectiveOptions: ParsableArguments {
    @Option(parsing: .upToNextOption, help: "Channels of the layer.")
    var channel: [Int] = []

    @Option(parsing: .upToNextOption, help: "Features of the autoencoder given with --sae.")
    var feature: [Int] = []

    @OptionGroup var autoencoder: SAEOptions

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Safetensors files with a `direction` [D] in the layer's channels.", valueName: "file"))
    var direction: [String] = []

    @Option(
        help: ArgumentHelp(
            "Seek one weighted sum of all that is given instead of each alone: a number for each, as --weights=1,-0.5.",
            valueName: "numbers"))
    var weights: NumberList?

    @Flag(help: "Minimize the activation instead.")
    var minimize = false

    func validate() throws {
        let count = channel.count + feature.count + direction.count
        if count == 0 { throw ValidationError("give --channel, --feature with --sae, or --direction") }
        if feature.isEmpty != (autoencoder.sae == nil) { throw ValidationError("--feature and --sae go together") }
        if let weights, weights.values.count != count {
            throw ValidationError("--weights has \(weights.values.count) numbers for \(count) channels and features")
        }
    }

    /// - Throws: a `Failure` for an autoencoder or a direction that is not there.
    func objectives(_ session: ModelSession, layer: String) throws -> [Objective] {
        var readouts = channel.map { Readout.channel($0) }
        if !feature.isEmpty {
            let loaded = try session.autoencoder(layer)
            readouts += feature.map { .feature($0, loaded) }
        }
        readouts += try direction.map { try .direction(file: $0) }
        let sign: Float = minimize ? -1 : 1
        let terms = readouts.enumerated().map { index, readout in
            Objective.Term(readout, weight: sign * (weights?.values[index] ?? 1))
        }
        return weights == nil ? terms.map { Objective([$0]) } : [Objective(terms)]
    }
}

/// Numbers separated by commas.
struct NumberList: ExpressibleByArgument {
    let values: [Float]

    init?(argument: String) {
        let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
        values = parts.compactMap { Float($0) }.filter(\.isFinite)
        if values.count != parts.count { return nil }
    }
}
