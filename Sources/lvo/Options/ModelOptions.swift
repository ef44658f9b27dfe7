import ArgumentParser
import Experiments
import Files
import Ops
import StableDiffusion

/// The model, with its changes.
struct ModelOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Model: a folder in diffusers layout, a single .safetensors or .ckpt file, or: embedded.",
            valueName: "path"))
    var model: String

    @Option(help: ArgumentHelp("VAE file or folder to use instead of the model's own.", valueName: "path"))
    var vae: String?

    @OptionGroup var changes: ModelChangeOptions

    /// Its files alone.
    func folder() throws -> ModelFolder {
        let folder = try ModelSession.open(changes.reference(model, vae: vae))
        try UnusedKeysOption.check(folder.source, allowUnused: changes.unused.allowUnused)
        return folder
    }

    /// Opens it for what needs more than its files; says on standard error which keys of LoRA files fit
    /// nothing.
    func session(
        autoencoders: String? = nil, engine: Engine, memory: MemorySize? = nil
    ) throws -> ModelSession {
        try changes.session(
            changes.reference(model, vae: vae, autoencoders: autoencoders), engine: engine, memory: memory)
    }
}

/// What is put into a model beside a VAE.
struct ModelChangeOptions: ParsableArguments {
    @Option(help: ArgumentHelp("LoRA file to merge into the model; may be repeated.", valueName: "file[:scale]"))
    var lora: [LoRAArgument] = []

    @OptionGroup var unused: UnusedKeysOption

    @Option(
        help: ArgumentHelp(
            "Textual inversion (AUTOMATIC1111's or diffusers'); prompts name it by TOKEN, by default its own. Repeatable.",
            valueName: "file[:token]"))
    var embedding: [EmbeddingArgument] = []

    func reference(_ model: String, vae: String? = nil, autoencoders: String? = nil) -> ModelReference {
        ModelReference(
            model, vae: vae, loras: lora.map { ModelReference.LoRA(path: $0.path, scale: $0.scale) },
            embeddings: embedding.map(\.reference), autoencoders: autoencoders)
    }

    func session(_ reference: ModelReference, engine: Engine, memory: MemorySize? = nil) throws -> ModelSession {
        let session = try ModelSession(
            reference, engine: engine, memoryBudget: memory?.bytes, checksums: CacheFolder.checksums,
            pools: CacheFolder.pools, packs: CacheFolder.packs())
        try UnusedKeysOption.check(session.folder.source, allowUnused: unused.allowUnused)
        return session
    }
}

/// The treatment of LoRA tensors that cannot be merged.
struct UnusedKeysOption: ParsableArguments {
    @Flag(help: "Go on when parts of a LoRA file fit nothing in the model or are not understood.")
    var allowUnused = false

    /// Lists them on standard error.
    /// - Throws: `SimpleFailure(.badData)` if there are any and that is not allowed.
    static func check(_ source: ModelSource, allowUnused: Bool) throws {
        let keys = source.unusedLoRAKeys
        for key in keys { note("unused: \(key)") }
        guard keys.isEmpty || allowUnused else {
            throw SimpleFailure(
                .badData,
                "\(keys.count) tensors of LoRA files were not merged, so pictures would not be what was trained; "
                    + "--allow-unused goes on without them")
        }
    }
}

/// `FILE` or `FILE:TOKEN`.
struct EmbeddingArgument: ExpressibleByArgument {
    let reference: ModelReference.Embedding

    init?(argument: String) {
        guard let reference = ModelReference.Embedding(argument: argument) else { return nil }
        self.reference = reference
    }
}

/// `FILE` or `FILE:SCALE`; the scale is 1 if what follows the last colon is not a number.
struct LoRAArgument: ExpressibleByArgument {
    let path: String
    let scale: Float

    init?(argument: String) {
        let lora = ModelReference.LoRA(argument: argument)
        guard lora.scale.isFinite, !lora.path.isEmpty else { return nil }
        (path, scale) = (lora.path, lora.scale)
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

/// The text for the U-Net: a prompt, or the text encoder's output from a file.
struct PromptOptions: ParsableArguments {
    @Option(help: "Prompt. Default: the empty one.")
    var prompt: String?

    @Option(help: "Safetensors file with the text encoder's hidden states, `context` [B or 1, T, C].")
    var context: String?

    @Option(help: "Layers of the text encoder left out at its end, as diffusers counts.")
    var clipSkip = 0

    @OptionGroup var syntax: EmphasisOption

    func validate() throws {
        if prompt != nil, context != nil { throw ValidationError("--prompt and --context exclude each other") }
        if context != nil, syntax.emphasis { throw ValidationError("--emphasis goes with --prompt, not with --context") }
        if context != nil, clipSkip != 0 { throw ValidationError("--clip-skip goes with --prompt, not with --context") }
        try ClipSkip.check(clipSkip)
    }

    /// Warns on standard error of parts of the prompt that may be meant otherwise.
    var source: TextSource {
        EmphasisOption.warnAboutSyntax(prompt ?? "", isRead: syntax.emphasis)
        return TextSource(
            prompt: prompt ?? "", clipSkip: clipSkip, emphasis: syntax.emphasis, contextFile: context)
    }
}

/// Layers of the text encoder that are left out.
enum ClipSkip {
    static func check(_ layers: Int?) throws {
        if let layers, layers < 0 { throw ValidationError("--clip-skip \(layers): expected 0 or more") }
    }
}

/// Whether prompts are written in the web interfaces' syntax.
struct EmphasisOption: ParsableArguments {
    @Flag(
        help: ArgumentHelp(
            "Read prompts as AUTOMATIC1111 does: (word:1.2), (word), [word], BREAK; long ones in chunks.",
            discussion: "Without it every character is taken as it stands."))
    var emphasis = false

    /// Warns on standard error of text that does not fit, or that may be meant otherwise.
    func encode(_ prompts: [String], _ encoder: PromptEncoder, clipSkip: Int) throws -> PromptEncoder.Encoded {
        for prompt in prompts { Self.warnAboutSyntax(prompt, isRead: emphasis) }
        let encoded = emphasis
            ? try encoder.encodeEmphasized(prompts, clipSkip: clipSkip)
            : try encoder.encode(prompts, clipSkip: clipSkip)
        warnAboutDropped(encoded.dropped)
        return encoded
    }

    /// Of many prompts the first with such syntax is shown.
    static func warnAboutSyntax(_ prompts: [String], isRead: Bool, inStudy: Bool = false) {
        let marked = prompts.filter { isRead ? !EmphasizedPrompt($0).networks.isEmpty : EmphasizedPrompt($0).isSyntax }
        guard let first = marked.first else { return }
        warnAboutSyntax(first, isRead: isRead, inStudy: inStudy)
        if marked.count > 1 { note("the same holds for \(marked.count - 1) more of \(prompts.count) prompts") }
    }

    static func warnAboutSyntax(_ prompt: String, isRead: Bool, inStudy: Bool = false) {
        let read = EmphasizedPrompt(prompt)
        if !isRead, read.isSyntax {
            let option = inStudy ? "emphasis: true" : "--emphasis"
            note("'\(prompt.prefix(60))': brackets, weights and <…> are taken as they stand; \(option) reads them")
        }
        if isRead {
            let option = inStudy ? "in loras" : "with --lora"
            for network in read.networks { note("<\(network)> is left out of the prompt; give its file \(option)") }
        }
    }
}

/// What may be meant otherwise, or does not fit, in a whole file of prompts: two lines for each kind at most.
func warnAboutPrompts(
    _ prompts: [String], isEmphasized: Bool, _ folder: ModelFolder, inStudy: Bool = false
) throws {
    EmphasisOption.warnAboutSyntax(prompts, isRead: isEmphasized, inStudy: inStudy)
    guard !isEmphasized, folder.hasComponent(.textEncoder),
        let tokenizer = try folder.loadTokenizer(for: TextEncoderConfig(folder.config(.textEncoder)))
    else { return }
    let dropped = prompts.compactMap { tokenizer.encode($0).dropped }
    warnAboutDropped([dropped.first])
    if dropped.count > 1 { note("so are \(dropped.count - 1) more of \(prompts.count) prompts") }
}

func warnAboutDropped(_ dropped: [String?]) {
    for case let text? in dropped { note("warning: the prompt is too long; left out: \(text)") }
}
