import ArgumentParser
import Experiments
import Ops
import StableDiffusion

/// Pictures whose activations are recorded while they are drawn.
struct ActivationOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Model to record activations from: as of other commands.", valueName: "dir"))
    var model: String?

    @Option(parsing: .upToNextOption, help: "Layers, as `lvo layers` names them.")
    var layer: [String] = []

    @Option(help: ArgumentHelp("File of prompts, one a line, or JSON lines with a 'text'.", valueName: "file"))
    var prompts: String?

    @OptionGroup var changes: ModelChangeOptions
    @OptionGroup var syntax: EmphasisOption

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
            ("--lora", !changes.lora.isEmpty), ("--embedding", !changes.embedding.isEmpty),
            ("--emphasis", syntax.emphasis),
        ]
        return options.filter(\.1).map(\.0)
    }

    func session(engine: Engine) throws -> ModelSession {
        guard let model else { throw ValidationError("give --model, --layer and --prompts") }
        return try changes.session(changes.reference(model), engine: engine)
    }

    func request(seed: UInt64, _ session: ModelSession) throws -> CaptureRequest {
        guard let prompts else { throw ValidationError("give --model, --layer and --prompts") }
        var request = CaptureRequest(layers: layer, prompts: try Prompt.read(prompts))
        try warnAboutPrompts(request.prompts.map(\.text), isEmphasized: syntax.emphasis, session.folder)
        request.parameters.steps = samplerSteps ?? request.parameters.steps
        request.parameters.guidanceScale = cfgScale ?? request.parameters.guidanceScale
        request.parameters.sampler = sampler
        request.parameters.emphasis = syntax.emphasis
        request.half = half ?? request.half
        request.seed = Int(truncatingIfNeeded: seed)
        return request
    }
}

extension GuidanceHalf: ExpressibleByArgument {}
