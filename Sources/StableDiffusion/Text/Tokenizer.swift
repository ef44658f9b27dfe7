import Files

/// CLIP's tokenizer: byte pair encoding with an end-of-word mark, framed by a start and an end token and padded to
/// the text encoder's length.
public struct Tokenizer: Sendable {
    /// A prompt as the text encoder takes it.
    public struct Encoding: Sendable {
        /// `contextLength` ids: start, the prompt's tokens, end, padding.
        public let ids: [Int32]
        /// Tokens with start and end but without padding, before cutting.
        public let fullLength: Int
        /// What was cut from a prompt that is too long, as text; nil when it fits.
        public let dropped: String?
    }

    /// Words, byte symbols and merge rules.
    public let vocabulary: Vocabulary
    /// Ids that the text encoder takes, 77 for CLIP.
    public let contextLength: Int
    /// Stands before every prompt.
    public let startID: Int32
    /// Stands behind every prompt.
    public let endID: Int32
    /// Fills what a short prompt leaves; Stable Diffusion 1.x pads with `endID`.
    public let padID: Int32
    /// Tokens beside the vocabulary's words: start and end, those of the folder, and embeddings.
    public let added: [AddedToken]
    private let splitter: PromptSplitter
    private let addedTexts: [Int32: String]

    /// Reads a model folder's `tokenizer` folder: `tokenizer.json`, else `vocab.json` and `merges.txt`; added tokens and
    /// the names of the special ones from the files that go with them (see `TokenizerFolder`).
    ///
    /// - Parameter contextLength: the text encoder's `max_position_embeddings`.
    /// Throws `Failure` naming the file, the line and what was expected.
    public init(folder: String, contextLength: Int = 77) throws {
        let contents = try TokenizerFolder(folder)
        try self.init(
            vocabulary: contents.vocabulary, specials: contents.specials, added: contents.added,
            contextLength: contextLength, source: contents.source)
    }

    /// From the contents of a `tokenizer.json` alone, with special tokens spelled as CLIP's.
    package init(tokenizerJSON file: ConfigFile, contextLength: Int = 77) throws {
        let contents = try TokenizerFile(file)
        try self.init(
            vocabulary: contents.vocabulary, specials: SpecialTokens(), added: contents.added,
            contextLength: contextLength, source: file.file)
    }

    /// CLIP's own tokenizer, for checkpoints that come without one.
    public static func clip(contextLength: Int = 77) throws -> Tokenizer {
        try Tokenizer(vocabulary: .clip(), contextLength: contextLength)
    }

    /// With the special tokens spelled as CLIP's.
    public init(vocabulary: Vocabulary, contextLength: Int = 77) throws {
        try self.init(
            vocabulary: vocabulary, specials: SpecialTokens(), contextLength: contextLength, source: "the vocabulary")
    }

    init(
        vocabulary: Vocabulary, specials: SpecialTokens, added: [AddedToken] = [], contextLength: Int, source: String
    ) throws {
        precondition(contextLength > 2, "context length \(contextLength) leaves no room for a prompt")
        func id(_ token: String) throws -> Int32 {
            if let id = vocabulary.id(of: token) ?? added.first(where: { $0.text == token })?.ids.first { return id }
            throw SimpleFailure(.badData, "\(source): the special token '\(token)' is not in the vocabulary")
        }
        self.vocabulary = vocabulary
        self.contextLength = contextLength
        startID = try id(specials.start)
        endID = try id(specials.end)
        padID = try id(specials.pad)
        let framing = [AddedToken(text: specials.start, ids: [startID]), AddedToken(text: specials.end, ids: [endID])]
        self.added = framing + added.filter { token in !framing.contains { $0.text == token.text } }
        splitter = PromptSplitter(self.added)
        addedTexts = Dictionary(
            self.added.flatMap { token in token.ids.map { ($0, token.text) } }, uniquingKeysWith: { first, _ in first })
    }

    /// The same tokenizer with further tokens.
    ///
    /// - Throws: `SimpleFailure(.usage)` for one that is there already.
    func adding(_ tokens: [AddedToken]) throws -> Tokenizer {
        for (index, token) in tokens.enumerated() {
            let before = added + tokens[..<index]
            guard vocabulary.id(of: token.text) == nil, !before.contains(where: { $0.text == token.text }) else {
                throw SimpleFailure(
                    .usage, "the token '\(token.text)' is in the vocabulary already; give the embedding another name")
            }
        }
        return Tokenizer(self, added: added + tokens)
    }

    private init(_ other: Tokenizer, added: [AddedToken]) {
        (vocabulary, contextLength) = (other.vocabulary, other.contextLength)
        (startID, endID, padID) = (other.startID, other.endID, other.padID)
        self.added = added
        splitter = PromptSplitter(added)
        addedTexts = Dictionary(
            added.flatMap { token in token.ids.map { ($0, token.text) } }, uniquingKeysWith: { first, _ in first })
    }

    /// The ids the text encoder gets. Tokens beyond the context length are dropped from the end.
    public func encode(_ prompt: String) -> Encoding {
        let tokens = tokens(of: prompt)
        let kept = tokens.prefix(contextLength - 2)
        let padding = repeatElement(padID, count: contextLength - 2 - kept.count)
        let dropped = tokens.dropFirst(kept.count)
        return Encoding(
            ids: [startID] + kept + [endID] + padding, fullLength: tokens.count + 2,
            dropped: dropped.isEmpty ? nil : decode(dropped))
    }

    /// The prompt's tokens without start, end and padding.
    public func tokens(of prompt: String) -> [Int32] { groups(of: prompt).flatMap { $0 } }

    /// The prompt's tokens, those together that must not be parted: the vectors of an embedding.
    func groups(of prompt: String) -> [[Int32]] {
        splitter.pieces(of: prompt).flatMap { piece -> [[Int32]] in
            switch piece {
            case .token(let ids): [ids]
            case .word(let word): merge(word).map { [$0] }
            }
        }
    }

    /// The text of tokens, words separated by spaces. Bytes that are not UTF-8 show as U+FFFD.
    public func decode(_ tokens: some Sequence<Int32>) -> String {
        var bytes: [UInt8] = []
        for token in tokens {
            let text = self.text(of: token)
            guard addedTexts[token] == nil, let symbols = ByteSymbols.bytes(of: Self.withoutEndOfWord(text))
            else {
                bytes += Array(text.utf8) + [0x20]
                continue
            }
            bytes += symbols
            if text.hasSuffix(Vocabulary.endOfWord) { bytes.append(0x20) }
        }
        return String(decoding: bytes.last == 0x20 ? bytes.dropLast() : bytes[...], as: UTF8.self)
    }

    /// A token as the vocabulary spells it.
    public func text(of token: Int32) -> String {
        if let text = addedTexts[token] { return text }
        guard vocabulary.texts.indices.contains(Int(token)) else { return "" }
        return vocabulary.texts[Int(token)] ?? ""
    }

    private static func withoutEndOfWord(_ text: String) -> Substring {
        text.hasSuffix(Vocabulary.endOfWord) ? text.dropLast(Vocabulary.endOfWord.count) : text[...]
    }

    /// Byte pair encoding: the pair of lowest rank is merged wherever it stands, until no pair is known.
    private func merge(_ word: String) -> [Int32] {
        var symbols = word.utf8.map { vocabulary.inner[Int($0)] }
        if let last = word.utf8.last { symbols[symbols.count - 1] = vocabulary.final[Int(last)] }
        while let best = lowestRankedPair(in: symbols) {
            var merged: [Int32] = []
            merged.reserveCapacity(symbols.count)
            var i = 0
            while i < symbols.count {
                if i + 1 < symbols.count, symbols[i] == best.left, symbols[i + 1] == best.right {
                    merged.append(best.merged)
                    i += 2
                } else {
                    merged.append(symbols[i])
                    i += 1
                }
            }
            symbols = merged
        }
        return symbols
    }

    private func lowestRankedPair(in symbols: [Int32]) -> (left: Int32, right: Int32, merged: Int32)? {
        var best: (rank: Int32, index: Int, merged: Int32)?
        for i in symbols.indices.dropLast() {
            guard let rule = vocabulary.merges[Vocabulary.pairKey(symbols[i], symbols[i + 1])] else { continue }
            if rule.rank < best?.rank ?? .max { best = (rule.rank, i, rule.merged) }
        }
        return best.map { (symbols[$0.index], symbols[$0.index + 1], $0.merged) }
    }
}
