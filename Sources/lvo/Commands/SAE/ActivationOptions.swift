import ArgumentParser
import Experiments
import Files
import Ops
import SparseAutoencoders
import StableDiffusion
import Studies

/// Pictures whose activations are recorded while they are drawn.
struct ActivationOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Model to record activations from: a diffusers folder, or: embedded.", valueName: "dir"))
    var model: String?

    @Option(parsing: .upToNextOption, help: "Layers, as `lvo layers` names them.")
    var layer: [String] = []

    @Option(help: ArgumentHelp("File of prompts, one a line, or JSON lines with a 'text'.", valueName: "file"))
    var prompts: String?

    @Option(help: "Which half of guidance is recorded. Default: \(GuidanceHalf.conditional.rawValue).")
    var half: GuidanceHalf?

    @Option(help: "Sampler steps of a picture. Default: \(GenerationParameters().steps).")
    var samplerSteps: Int?

    @Option(help: "Guidance scale. Default: \(GenerationParameters().guidanceScale).")
    var cfgScale: Float?

    @Option(help: "Sampler. Default: the model's own.")
    var sampler: SamplerName?

    func validate() throws {
        if let samplerSteps, samplerSteps < 1 { throw ValidationError("--sampler-steps \(samplerSteps): expected at least 1") }
        if model != nil, layer.isEmpty || prompts == nil {
            throw ValidationError("--model needs --layer and --prompts")
        }
    }

    /// The options that were given.
    var given: [String] {
        let options = [
            ("--model", model != nil), ("--layer", !layer.isEmpty), ("--prompts", prompts != nil), ("--half", half != nil),
            ("--sampler-steps", samplerSteps != nil), ("--cfg-scale", cfgScale != nil), ("--sampler", sampler != nil),
        ]
        return options.filter(\.1).map(\.0)
    }

    /// - Parameters:
    ///   - limit: pictures in all; nil: without end.
    ///   - progress: called after every U-Net call of a picture; may throw to stop.
    func activations(
        seed: UInt64, limit: Int?, engine: Engine,
        progress: @escaping (_ picture: Int, _ call: Int, _ calls: Int) throws -> Void
    ) throws -> GeneratedActivations {
        guard let model, let prompts else { throw ValidationError("give --model, --layer and --prompts") }
        if Set(layer).count < layer.count { throw ValidationError("--layer: the same layer twice") }
        var parameters = GenerationParameters()
        parameters.steps = samplerSteps ?? parameters.steps
        parameters.guidanceScale = cfgScale ?? parameters.guidanceScale
        parameters.sampler = sampler
        let folder = try ModelOptions.folder(model)
        return try GeneratedActivations(
            Generator(folder, engine: engine), layers: layer, prompts: Prompt.read(prompts),
            parameters: parameters, half: half ?? .conditional, seed: Int(truncatingIfNeeded: seed), limit: limit,
            model: Self.fingerprint(folder), progress: progress)
    }

    /// Tells models apart by the U-Net's first and last convolution.
    private static func fingerprint(_ folder: ModelFolder) throws -> String {
        let weights = try folder.weights(.unet)
        return try Fingerprint.of(
            ["conv_in.weight", "conv_out.weight"].flatMap { name in
                Array(try weights.take(name, shape: weights.shape(of: name) ?? []).bytes)
            })
    }
}

extension GuidanceHalf: ExpressibleByArgument {}
