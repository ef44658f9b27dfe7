import Files
import Ops
import Tensors

/// From prompts to what conditions the U-Net: tokenizer and text encoder of a model folder, with the embeddings that were
/// given beside it.
///
/// A folder without a tokenizer gets CLIP's published one if its text encoder has that vocabulary's size; any other
/// still encodes the empty prompt, whose ids its configuration tells.
public final class PromptEncoder: Sendable {
    /// Gives the hidden states.
    public let textEncoder: TextEncoder
    /// nil: only the empty prompt can be encoded.
    public let tokenizer: Tokenizer?
    private let path: String

    /// Loads the text encoder, and the tokenizer if there is one.
    ///
    /// - Throws: a `Failure` for a text encoder that is missing or damaged, or a tokenizer of another vocabulary.
    public init(_ folder: ModelFolder, engine: Engine) throws {
        path = folder.path
        let textEncoder = try folder.loadTextEncoder(engine: engine)
        self.textEncoder = textEncoder
        tokenizer = try folder.loadTokenizer(for: textEncoder.config)
    }

    /// A batch of prompts as the U-Net takes it.
    public struct Encoded: Sendable {
        /// `[B][T]`; with emphasis `[B][chunks · T]`.
        public let ids: [[Int]]
        /// The hidden states, `[B, T, C]`; with emphasis `[B, chunks · T, C]`.
        public let context: Tensor
        /// Per prompt: what was cut off because it did not fit. Nothing is with emphasis.
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

    /// With the web interfaces' syntax (`EmphasizedPrompt`): words weighed, long prompts in several chunks.
    ///
    /// - Parameter chunks: at least so many, so that prompts of different lengths can go through the U-Net together.
    public func encodeEmphasized(_ prompts: [String], clipSkip: Int = 0, chunks least: Int = 1) throws -> Encoded {
        guard let tokenizer else { throw withoutTokenizer }
        var all = prompts.map { TokenChunks(EmphasizedPrompt($0), tokenizer: tokenizer) }
        let count = max(least, all.map(\.ids.count).max() ?? 1)
        for i in all.indices { all[i].pad(to: count) }
        let length = tokenizer.contextLength
        let width = textEncoder.config.width
        let context = Tensor([all.count, count * length, width])
        for (sample, chunks) in all.enumerated() {
            for (chunk, ids) in chunks.ids.enumerated() {
                let hidden = try textEncoder.encode([ids.map(Int.init)], clipSkip: clipSkip)
                TokenChunks.weigh(hidden, by: chunks.weights[chunk])
                let target = context.pointer + (sample * count + chunk) * length * width
                target.update(from: hidden.pointer, count: hidden.count)
            }
        }
        return Encoded(
            ids: all.map { $0.ids.flatMap { $0.map(Int.init) } }, context: context, dropped: prompts.map { _ in nil })
    }

    /// Chunks that a prompt takes with emphasis.
    func chunkCount(_ prompt: String) -> Int {
        tokenizer.map { TokenChunks(EmphasizedPrompt(prompt), tokenizer: $0).ids.count } ?? 1
    }

    private func tokens(_ prompt: String) throws -> (ids: [Int], dropped: String?) {
        if let tokenizer {
            let encoding = tokenizer.encode(prompt)
            return (encoding.ids.map(Int.init), encoding.dropped)
        }
        guard prompt.isEmpty else { throw withoutTokenizer }
        return (textEncoder.config.emptyPromptIDs, nil)
    }

    private var withoutTokenizer: SimpleFailure {
        SimpleFailure(
            .missingInput,
            "\(path)/tokenizer: tokenizer.json, or vocab.json and merges.txt, are missing; without them only the empty "
                + "prompt can be encoded")
    }
}

extension ModelFolder {
    /// The folder's tokenizer; CLIP's published one if it has none and the text encoder's vocabulary is of its size.
    /// Embeddings that were given beside the model are tokens of it, with ids after the text encoder's.
    public func loadTokenizer(for config: TextEncoderConfig) throws -> Tokenizer? {
        guard let tokenizer = try ownTokenizer(config) else {
            guard let first = source.embeddings.first else { return nil }
            throw SimpleFailure(
                .missingInput, "\(path)/tokenizer: is missing; the embedding \(first.path) cannot be named in prompts")
        }
        var next = Int32(config.vocabularySize)
        let tokens = source.embeddings.map { embedding in
            defer { next += Int32(embedding.vectors) }
            return AddedToken(
                text: embedding.token, ids: Array(next..<next + Int32(embedding.vectors)), isNormalized: true)
        }
        return tokens.isEmpty ? tokenizer : try tokenizer.adding(tokens)
    }

    private func ownTokenizer(_ config: TextEncoderConfig) throws -> Tokenizer? {
        if let folder = tokenizerFolder { return try Tokenizer(folder: folder, contextLength: config.positions) }
        guard config.vocabularySize == Vocabulary.clipCount else { return nil }
        return try Tokenizer.clip(contextLength: config.positions)
    }
}
