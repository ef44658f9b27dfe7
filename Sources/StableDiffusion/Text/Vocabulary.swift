import Files

/// The tokens and merge rules of a byte pair encoding, as ids: merging works on integers alone.
public struct Vocabulary: Sendable {
    /// Texts by id, in byte symbols; `nil` for ids that the vocabulary leaves out.
    let texts: [String?]
    /// Id of each byte inside a word, and as the last of a word (`</w>`).
    let inner: [Int32]
    let final: [Int32]
    /// Rank (lower merges first) and result of each pair of ids.
    let merges: [UInt64: (rank: Int32, merged: Int32)]
    private let ids: [String: Int32]

    /// The mark at the end of a token that ends a word.
    public static let endOfWord = "</w>"
    private static let clipMerges = "clip-merges.txt"
    /// Tokens of CLIP's published vocabulary.
    public static let clipCount = 49_408
    /// Ids that a vocabulary may leave out. A guard against hostile ids: one entry must not ask for a table of millions.
    private static let largestGap = 1 << 16

    /// How many tokens there are, ids that are left out not counted.
    public var count: Int { ids.count }

    /// The id of a token in byte symbols, nil if there is none.
    public func id(of text: String) -> Int32? { ids[text] }

    static func pairKey(_ a: Int32, _ b: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: a)) << 32 | UInt64(UInt32(bitPattern: b))
    }

    /// A merge rule with where it stands, for messages.
    typealias Merge = (left: Substring, right: Substring, place: String)

    /// Reads `vocab.json` and `merges.txt`.
    ///
    /// Throws `SimpleFailure`: `.missingInput` for a file that is not there, `.badData` naming file and line (or
    /// token) for anything that is not a vocabulary.
    public init(vocabFile: String, mergesFile: String) throws {
        let tokens = try JSON.read(vocabFile)
        let merges = try Self.merges(lines: TextLines.read(mergesFile), file: mergesFile)
        try self.init(tokens: tokens, merges: merges, vocabFile: vocabFile)
    }

    /// - Parameters:
    ///   - tokens: the contents of `vocab.json`, token: id.
    ///   - merges: the contents of `merges.txt`.
    ///   - vocabFile: for messages, as `mergesFile` is.
    public init(tokens: JSON, merges: UnsafeRawBufferPointer, vocabFile: String, mergesFile: String) throws {
        let lines = try TextLines.split(Array(merges), file: mergesFile).map { String($0) }
        try self.init(tokens: tokens, merges: Self.merges(lines: lines, file: mergesFile), vocabFile: vocabFile)
    }

    init(tokens: JSON, merges: [Merge], vocabFile: String) throws {
        guard let members = tokens.object else {
            throw SimpleFailure(.badData, "\(vocabFile): expected an object of token: id")
        }
        let limit = members.count + Self.largestGap
        var ids: [String: Int32] = [:]
        var texts: [String?] = []
        ids.reserveCapacity(members.count)
        for (text, value) in members {
            guard let id = value.int, (0..<limit).contains(id) else {
                throw SimpleFailure(
                    .badData,
                    "\(vocabFile): the id of token '\(text.prefix(40))' is not an integer from 0 to \(limit - 1)")
            }
            if id >= texts.count { texts += repeatElement(nil, count: id + 1 - texts.count) }
            if let other = texts[id] {
                throw SimpleFailure(.badData, "\(vocabFile): tokens '\(other)' and '\(text)' have the same id \(id)")
            }
            texts[id] = text
            ids[text] = Int32(id)
        }
        try self.init(ids: ids, texts: texts, merges: merges, vocabFile: vocabFile)
    }

    private init(ids: [String: Int32], texts: [String?], merges: [Merge], vocabFile: String) throws {
        self.ids = ids
        self.texts = texts
        inner = try Self.byteIDs(ids, suffix: "", file: vocabFile)
        final = try Self.byteIDs(ids, suffix: Self.endOfWord, file: vocabFile)
        self.merges = try Self.rules(merges, tokens: ids)
    }

    /// CLIP's published vocabulary, which Stable Diffusion 1.x uses, from the `merges.txt` that comes with the program
    /// (OpenAI published it with CLIP, MIT license): the bytes by their symbols, the same at a word's end, one token a
    /// merge rule, start and end. Single-file checkpoints come without a tokenizer.
    public static func clip() throws -> Vocabulary {
        let path = try ResourceFile.path(clipMerges, module: "StableDiffusion", what: "CLIP's vocabulary")
        let merges = try Self.merges(lines: TextLines.read(path), file: path)
        let bytes = ByteSymbols.characters.sorted().map { String($0) }
        let texts = bytes + bytes.map { $0 + endOfWord } + merges.map { String($0.left + $0.right) }
            + [SpecialTokens().start, SpecialTokens().end]
        let ids = Dictionary(texts.enumerated().map { ($1, Int32($0)) }, uniquingKeysWith: { first, _ in first })
        return try Vocabulary(ids: ids, texts: texts, merges: merges, vocabFile: "CLIP's vocabulary")
    }

    /// Writes CLIP's published vocabulary as `vocab.json` and `merges.txt`.
    public static func writeCLIP(to folder: String, overwrite: Bool) throws {
        let path = try ResourceFile.path(clipMerges, module: "StableDiffusion", what: "CLIP's vocabulary")
        let texts = try clip().texts
        let tokens = JSON(texts.enumerated().compactMap { id, text in text.map { ($0, .integer(id)) } })
        try OutputFile.makeFolder(folder)
        try tokens.write(to: folder + "/vocab.json", overwrite: overwrite)
        try OutputFile.copy(path, to: folder + "/merges.txt", overwrite: overwrite)
    }

    private static func byteIDs(_ tokens: [String: Int32], suffix: String, file: String) throws -> [Int32] {
        try ByteSymbols.characters.enumerated().map { byte, character in
            guard let id = tokens[String(character) + suffix] else {
                throw SimpleFailure(.badData, "\(file): no token '\(character)\(suffix)' for byte \(byte)")
            }
            return id
        }
    }

    /// One merge a line, two symbols with a space between; a first line starting with `#version` is skipped.
    private static func merges(lines: [String], file: String) throws -> [Merge] {
        try lines.enumerated().compactMap { index, line in
            if line.isEmpty || index == 0 && line.hasPrefix("#version") { return nil }
            return try merge(line, place: "\(file):\(index + 1)")
        }
    }

    /// `left right`.
    static func merge(_ text: String, place: String) throws -> Merge {
        let parts = text.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else {
            throw SimpleFailure(
                .badData, "\(place): expected two symbols with a space between, found '\(text.prefix(40))'")
        }
        return (parts[0], parts[1], place)
    }

    private static func rules(
        _ merges: [Merge], tokens: [String: Int32]
    ) throws -> [UInt64: (rank: Int32, merged: Int32)] {
        var result: [UInt64: (rank: Int32, merged: Int32)] = [:]
        result.reserveCapacity(merges.count)
        for merge in merges {
            func fail(_ problem: String) -> SimpleFailure {
                let text = "\(merge.left) \(merge.right)".prefix(40)
                return SimpleFailure(.badData, "\(merge.place): merge '\(text)'\(problem)")
            }
            guard let left = tokens[String(merge.left)], let right = tokens[String(merge.right)],
                let merged = tokens[String(merge.left + merge.right)]
            else { throw fail(": a symbol or the result is not in the vocabulary") }
            let rank = Int32(result.count)
            guard result.updateValue((rank, merged), forKey: pairKey(left, right)) == nil else {
                throw fail(" stands twice")
            }
        }
        return result
    }
}
