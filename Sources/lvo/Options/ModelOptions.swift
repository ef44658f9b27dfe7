import ArgumentParser
import Checkpoints
import Experiments
import Files
import Ops
import StableDiffusion
import Studies
import Tensors

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

    /// Opens it; says on standard error which keys of LoRA files fit nothing.
    func folder() throws -> ModelFolder { try Self.folder(model, vae: vae, lora: lora) }

    static func folder(_ model: String, vae: String? = nil, lora: [LoRAArgument] = []) throws -> ModelFolder {
        let path = model == EmbeddedModel.name ? try EmbeddedModel.model() : model
        let source = try ModelSource(path: path, vae: vae, loras: lora.map { ($0.path, $0.scale) })
        for key in source.unusedLoRAKeys { note("unused: \(key)") }
        return try ModelFolder(source)
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

    /// The hidden states `[B or 1, T, C]`. Says on standard error what did not fit of a long prompt.
    func context(_ folder: ModelFolder, engine: Engine) throws -> Tensor {
        guard let context else {
            let encoded = try PromptEncoder(folder, engine: engine).encode([prompt ?? ""], clipSkip: clipSkip)
            warnAboutDropped(encoded.dropped)
            return encoded.context
        }
        let tensor = try TensorFile.read(context, name: "context")
        let width = folder.unetConfig.layout.contextWidth
        guard tensor.shape.count == 3, tensor.channels == width, tensor.count > 0 else {
            throw SimpleFailure(
                .badData, "\(context): context has shape \(tensor.shape), this model takes [B or 1, T, \(width)]")
        }
        return tensor
    }
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

/// Tensors from files that users name.
enum TensorFile {
    /// The tensor called `name`, or the only one in the file.
    static func read(_ path: String, name: String) throws -> Tensor {
        let file = try SafetensorsFile(path: path)
        guard file.names.contains(name) || file.names.count == 1 else {
            throw SimpleFailure(
                .badData,
                "\(path): holds \(file.names.count) tensors and none is called '\(name)'; name it so or leave it alone")
        }
        let weight = try file.weight(file.names.contains(name) ? name : file.names[0])
        return Tensor(weight.shape, weight.floats())
    }

    /// Latents `[B, C, h, w]`; one without the batch axis is accepted.
    static func latent(_ path: String, channels: Int) throws -> Tensor {
        let tensor = try read(path, name: "latent")
        let shape = tensor.shape.count == 3 ? [1] + tensor.shape : tensor.shape
        guard shape.count == 4, shape[1] == channels, tensor.count > 0 else {
            throw SimpleFailure(
                .badData, "\(path): latent has shape \(tensor.shape), expected [B, \(channels), h, w]")
        }
        return tensor.reshaped(shape)
    }
}
