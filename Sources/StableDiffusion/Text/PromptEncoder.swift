import Files
import Ops
import Tensors

/// From prompts to what conditions the U-Net: tokenizer and text encoder of a model folder.
///
/// A folder without a tokenizer gets CLIP's published one if its text encoder has that vocabulary's size; any other
/// still encodes the empty prompt, whose ids its configuration tells.
public final class PromptEncoder: Sendable {
    public let textEncoder: TextEncoder
    public let tokenizer: Tokenizer?
    private let path: String

    public init(_ folder: ModelFolder, engine: Engine) throws {
        path = folder.path
        textEncoder = try folder.loadTextEncoder(engine: engine)
        tokenizer = try folder.loadTokenizer(for: textEncoder.config)
    }

    public struct Encoded: Sendable {
        /// `[B][T]`
        public let ids: [[Int]]
        /// The hidden states, `[B, T, C]`.
        public let context: Tensor
        /// Per prompt: what was cut off because it did not fit.
        public let dropped: [String?]
    }

    /// - Parameter clipSkip: see `TextEncoder.encode`.
    /// - Throws: `Failure`; `.missingInput` for a prompt with text if the folder has no tokenizer.
    public func encode(_ prompts: [String], clipSkip: Int = 0) throws -> Encoded {
        let tokens = try prompts.map(tokens)
        let ids = tokens.map(\.ids)
        return Encoded(
            ids: ids, context: try textEncoder.encode(ids, clipSkip: clipSkip), dropped: tokens.map(\.dropped))
    }

    private func tokens(_ prompt: String) throws -> (ids: [Int], dropped: String?) {
        if let tokenizer {
            let encoding = tokenizer.encode(prompt)
            return (encoding.ids.map(Int.init), encoding.dropped)
        }
        guard prompt.isEmpty else {
            throw SimpleFailure(
                .missingInput,
                "\(path)/tokenizer: vocab.json and merges.txt are missing; without them only the empty prompt can be "
                    + "encoded")
        }
        return (textEncoder.config.emptyPromptIDs, nil)
    }
}

extension ModelFolder {
    /// The folder's tokenizer; CLIP's published one if it has none and the text encoder's vocabulary is of its size.
    public func loadTokenizer(for config: TextEncoderConfig) throws -> Tokenizer? {
        if let folder = tokenizerFolder { return try Tokenizer(folder: folder, contextLength: config.positions) }
        guard config.vocabularySize == Vocabulary.clipCount else { return nil }
        return try Tokenizer.clip(contextLength: config.positions)
    }
}
