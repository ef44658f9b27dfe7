import Files
import StableDiffusion
import Tensors

/// The text for the U-Net: a prompt, or a text encoder's hidden states from a file.
public struct TextSource: Sendable, Hashable {
    /// What the text encoder reads; empty: the unconditional text.
    public var prompt: String
    /// Layers of the text encoder left out at its end, as diffusers counts.
    public var clipSkip: Int
    /// Whether the prompt is in the web interfaces' syntax, see `EmphasizedPrompt`.
    public var emphasis: Bool
    /// A safetensors file with `context [B or 1, T, C]`; it wins over the prompt.
    public var contextFile: String?

    /// The empty prompt, unless told otherwise.
    public init(prompt: String = "", clipSkip: Int = 0, emphasis: Bool = false, contextFile: String? = nil) {
        self.prompt = prompt
        self.clipSkip = clipSkip
        self.emphasis = emphasis
        self.contextFile = contextFile
    }
}

/// The text encoder's hidden states, and the part of the prompt that did not fit.
public struct EncodedText: Sendable {
    /// `[B or 1, T, C]`
    public let context: Tensor
    /// The end of a prompt that was too long; nil if all of it fits.
    public let dropped: String?
}

extension ModelSession {
    /// The hidden states of a text. They are cached, and the text encoder is released unless pictures
    /// are drawn too.
    ///
    /// - Throws: a `Failure` for a text that cannot be encoded, or a file of another model.
    public func text(_ source: TextSource) throws -> EncodedText {
        if let known = texts[source] { return known }
        let text = try source.contextFile.map(read) ?? encode(source)
        texts[source] = text
        return text
    }

    private func encode(_ source: TextSource) throws -> EncodedText {
        let encoder = try loadedPrompts ?? PromptEncoder(loadable(), engine: engine)
        let encoded = source.emphasis
            ? try encoder.encodeEmphasized([source.prompt], clipSkip: source.clipSkip)
            : try encoder.encode([source.prompt], clipSkip: source.clipSkip)
        return EncodedText(context: encoded.context, dropped: encoded.dropped[0])
    }

    private func read(_ path: String) throws -> EncodedText {
        let path = reference.resolved(path)
        let tensor = try TensorFile.read(path, name: "context")
        let width = folder.unetConfig.contextWidth
        guard tensor.shape.count == 3, tensor.channels == width, tensor.count > 0 else {
            throw SimpleFailure(
                .badData, "\(path): context has shape \(tensor.shape), this model takes [B or 1, T, \(width)]")
        }
        return EncodedText(context: tensor, dropped: nil)
    }
}
