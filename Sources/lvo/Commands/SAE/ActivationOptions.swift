import ArgumentParser
import Ops
import SparseAutoencoders
import StableDiffusion
import Studies
import Tensors

/// Pictures whose activations are recorded while they are drawn.
struct ActivationOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Model to record activations from: a diffusers folder, or: embedded.", valueName: "dir"))
    var model: String?

    @Option(parsing: .upToNextOption, help: "Layers, as `lvo layers` names them.")
    var layer: [String] = []

    @Option(help: ArgumentHelp("File of prompts, one a line, or JSON lines with a 'text'.", valueName: "file"))
    var prompts: String?

    @Option(help: "Which half of guidance is recorded.")
    var half = GuidanceHalf.conditional

    @Option(help: "Sampler steps of a picture.")
    var samplerSteps = GenerationParameters().steps

    @Option(help: "Guidance scale.")
    var cfgScale = GenerationParameters().guidanceScale

    @Option(help: "Sampler. Default: the model's own.")
    var sampler: SamplerName?

    func validate() throws {
        if samplerSteps < 1 { throw ValidationError("--sampler-steps \(samplerSteps): expected at least 1") }
        if model != nil, layer.isEmpty || prompts == nil {
            throw ValidationError("--model needs --layer and --prompts")
        }
    }

    /// - Parameter limit: pictures in all; nil: without end.
    func activations(
        seed: UInt64, limit: Int?, engine: Engine, check: @escaping () throws -> Void
    ) throws -> GeneratedActivations {
        guard let model, let prompts else { throw ValidationError("give --model, --layer and --prompts") }
        var parameters = GenerationParameters()
        (parameters.steps, parameters.guidanceScale, parameters.sampler) = (samplerSteps, cfgScale, sampler)
        return try GeneratedActivations(
            Generator(ModelOptions.folder(model), engine: engine), layers: layer, prompts: Prompt.read(prompts),
            parameters: parameters, half: half, seed: Int(truncatingIfNeeded: seed), limit: limit, check: check)
    }
}

extension GuidanceHalf: ExpressibleByArgument {}

/// A signal asked the process to end.
struct Stopped: Failure {
    let kind = FailureKind.stoppedEarly
    var description: String { "stopped; the same command goes on from here" }
}
