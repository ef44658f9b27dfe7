import ArgumentParser
import Experiments
import Ops
import StableDiffusion

/// Which model, and what to change in it.
struct ModelOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Model: a folder in diffusers layout, a single .safetensors or .ckpt file, or: embedded.",
            valueName: "path"))
    var model: String

    @Option(help: ArgumentHelp("VAE file or folder to use instead of the model's own.", valueName: "path"))
    var vae: String?

    @Option(help: ArgumentHelp("LoRA file to merge into the model; may be repeated.", valueName: "file[:scale]"))
    var lora: [LoRAArgument] = []

    /// Its files alone.
    func folder() throws -> ModelFolder {
        let folder = try ModelSession.open(reference())
        for key in folder.source.unusedLoRAKeys { note("unused: \(key)") }
        return folder
    }

    private func reference(autoencoders: String? = nil) -> ModelReference {
        let loras = lora.map { ModelReference.LoRA(path: $0.path, scale: $0.scale) }
        return ModelReference(model, vae: vae, loras: loras, autoencoders: autoencoders)
    }

    /// Opens it for what needs more than its files; says on standard error which keys of LoRA files fit nothing.
    func session(
        autoencoders: String? = nil, engine: Engine, memory: MemorySize? = nil
    ) throws -> ModelSession {
        try Self.session(reference(autoencoders: autoencoders), engine: engine, memory: memory)
    }

    static func session(
        _ reference: ModelReference, engine: Engine, memory: MemorySize? = nil
    ) throws -> ModelSession {
        let session = try ModelSession(reference, engine: engine, memoryBudget: memory?.bytes)
        for key in session.folder.source.unusedLoRAKeys { note("unused: \(key)") }
        return session
    }
}

/// `FILE` or `FILE:SCALE`; the scale is 1 if what follows the last colon is not a number.
struct LoRAArgument: ExpressibleByArgument {
    let path: String
    let scale: Float

    init?(argument: String) {
        if let colon = argument.lastIndex(of: ":"), let scale = Float(argument[argument.index(after: colon)...]) {
            guard scale.isFinite else { return nil }
            (path, self.scale) = (String(argument[..<colon]), scale)
        } else {
            (path, scale) = (argument, 1)
        }
        if path.isEmpty { return nil }
    }
}

/// Picture size in pixels.
struct SizeOptions: ParsableArguments {
    @Option(name: [.customShort("W"), .long], help: "Width in pixels. Default: the model's own.")
    var width: Int?

    @Option(name: [.customShort("H"), .long], help: "Height in pixels. Default: the model's own.")
    var height: Int?

    func latentSize(_ folder: ModelFolder) throws -> (height: Int, width: Int) {
        try folder.latentSize(pixelWidth: width, pixelHeight: height)
    }
}

/// What the U-Net is told: a prompt, or the text encoder's output from a file.
struct PromptOptions: ParsableArguments {
    @Option(help: "Prompt. Default: the empty one.")
    var prompt: String?

    @Option(help: "Safetensors file with the text encoder's hidden states, `context` [B or 1, T, C].")
    var context: String?

    @Option(help: "Layers of the text encoder left out at its end, as diffusers counts.")
    var clipSkip = 0

    func validate() throws {
        if prompt != nil, context != nil { throw ValidationError("--prompt and --context exclude each other") }
        if context != nil, clipSkip != 0 { throw ValidationError("--clip-skip goes with --prompt, not with --context") }
        try ClipSkip.check(clipSkip)
    }

    var source: TextSource { TextSource(prompt: prompt ?? "", clipSkip: clipSkip, contextFile: context) }
}

/// Layers of the text encoder that are left out.
enum ClipSkip {
    static func check(_ layers: Int?) throws {
        if let layers, layers < 0 { throw ValidationError("--clip-skip \(layers): expected 0 or more") }
    }
}

func warnAboutDropped(_ dropped: [String?]) {
    for case let text? in dropped { note("warning: the prompt is too long; left out: \(text)") }
}
