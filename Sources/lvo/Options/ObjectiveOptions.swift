import ArgumentParser
import Experiments
import Files
import StableDiffusion
import Visualization

/// What is sought in a layer.
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

    @Flag(help: "Seek what makes it least active.")
    var minimize = false

    func validate() throws {
        let count = channel.count + feature.count + direction.count
        if count == 0 { throw ValidationError("give --channel, --feature with --sae, or --direction") }
        if feature.isEmpty != (autoencoder.sae == nil) { throw ValidationError("--feature and --sae go together") }
        if let weights, weights.values.count != count {
            throw ValidationError("--weights has \(weights.values.count) numbers for \(count) channels and features")
        }
    }

    /// Whose settings it takes.
    var target: DreamSettings.Target { feature.isEmpty ? .channels : .features }

    /// - Throws: `Failure` if the layer has no such channel or the autoencoder no such feature.
    func objectives(_ hook: HookPoint) throws -> [Objective] {
        var readouts = channel.map { Readout.channel($0) }
        if let folder = autoencoder.sae, !feature.isEmpty {
            let loaded = try SAEOptions.load(folder, for: hook)
            readouts += feature.map { .feature($0, loaded) }
        }
        for path in direction {
            let vector = try TensorFile.read(path, name: "direction")
            guard vector.count == vector.channels, vector.array.allSatisfy(\.isFinite) else {
                throw SimpleFailure(.badData, "\(path): direction \(vector.shape), expected [D] of finite numbers")
            }
            let file = path.split(separator: "/").last.map(String.init) ?? path
            let name = file.hasSuffix(".safetensors") ? String(file.dropLast(".safetensors".count)) : file
            readouts.append(.direction(vector, name: name))
        }
        let sign: Float = minimize ? -1 : 1
        let terms = readouts.enumerated().map { index, readout in
            Objective.Term(readout, weight: sign * (weights?.values[index] ?? 1))
        }
        let objectives = weights == nil ? terms.map { Objective([$0]) } : [Objective(terms)]
        for objective in objectives { try objective.check(width: hook.channels, layer: hook.name) }
        return objectives
    }

    /// The options that give `objective` alone, of those that these options give.
    func arguments(_ index: Int) -> [String] {
        var arguments: [String] = []
        func add(_ name: String, _ values: [String], from first: Int) {
            let chosen = weights == nil ? values.indices.contains(index - first) ? [values[index - first]] : [] : values
            if !chosen.isEmpty { arguments += [name] + chosen }
        }
        add("--channel", channel.map(String.init), from: 0)
        add("--feature", feature.map(String.init), from: channel.count)
        add("--direction", direction, from: channel.count + feature.count)
        if arguments.contains("--feature"), let folder = autoencoder.sae { arguments += ["--sae", folder] }
        if let weights { arguments.append("--weights=" + weights.values.map { "\($0)" }.joined(separator: ",")) }
        return arguments + (minimize ? ["--minimize"] : [])
    }
}

/// Numbers with commas between them.
struct NumberList: ExpressibleByArgument {
    let values: [Float]

    init?(argument: String) {
        let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
        values = parts.compactMap { Float($0) }.filter(\.isFinite)
        if values.count != parts.count { return nil }
    }
}
