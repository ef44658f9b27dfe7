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

    public static let endOfWord = "</w>"
    private static let clipMerges = "clip-merges.txt"
    /// Tokens of CLIP's published vocabulary.
    public static let clipCount = 49_408
    /// Ids that a vocabulary may leave out. A guard against hostile ids: one entry must not ask for a table of millions.
    private static let largestGap = 1 << 16

    public var count: Int { ids.count }

    public func id(of text: String) -> Int32? { ids[text] }

    static func pairKey(_ a: Int32, _ b: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: a)) << 32 | UInt64(UInt32(bitPattern: b))
    }

    /// Reads `vocab.json` and `merges.txt`.
    ///
    /// Throws `SimpleFailure`: `.missingInput` for a file that is not there, `.badData` naming file and line (or
    /// token) for anything that is not a vocabulary.
    public init(vocabFile: String, mergesFile: String) throws {
        let tokens = try JSON.read(vocabFile)
        let merges = try MappedFile(path: mergesFile)
        defer { withExtendedLifetime(merges) {} }
        try self.init(tokens: tokens, merges: merges.bytes, vocabFile: vocabFile, mergesFile: mergesFile)
    }

    /// - Parameters:
    ///   - tokens: the contents of `vocab.json`, token: id.
    ///   - merges: the contents of `merges.txt`.
    ///   - vocabFile: for messages, as `mergesFile` is.
    public init(tokens: JSON, merges: UnsafeRawBufferPointer, vocabFile: String, mergesFile: String) throws {
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
        try self.init(ids: ids, texts: texts, merges: merges, vocabFile: vocabFile, mergesFile: mergesFile)
    }

    private init(
        ids: [String: Int32], texts: [String?], merges: UnsafeRawBufferPointer, vocabFile: String, mergesFile: String
    ) throws {
        self.ids = ids
        self.texts = texts
        inner = try Self.byteIDs(ids, suffix: "", file: vocabFile)
        final = try Self.byteIDs(ids, suffix: Self.endOfWord, file: vocabFile)
        self.merges = try Self.readMerges(merges, file: mergesFile, tokens: ids)
    }

    /// CLIP's published vocabulary, which Stable Diffusion 1.x uses, from the `merges.txt` that comes with the program
    /// (OpenAI published it with CLIP, MIT license): the bytes by their symbols, the same at a word's end, one token a
    /// merge rule, start and end. Single-file checkpoints come without a tokenizer.
    public static func clip() throws -> Vocabulary {
        let path = try ResourceFile.path(clipMerges, module: "StableDiffusion", what: "CLIP's vocabulary")
        let file = try MappedFile(path: path)
        defer { withExtendedLifetime(file) {} }
        let bytes = ByteSymbols.characters.sorted().map { String($0) }
        let merged = lines(file.bytes).dropFirst().filter { !$0.isEmpty }.map { line in
            String(decoding: line.filter { $0 != UInt8(ascii: " ") }, as: UTF8.self)
        }
        let texts = bytes + bytes.map { $0 + endOfWord } + merged + [SpecialTokens().start, SpecialTokens().end]
        let ids = Dictionary(texts.enumerated().map { ($1, Int32($0)) }, uniquingKeysWith: { first, _ in first })
        return try Vocabulary(
            ids: ids, texts: texts, merges: file.bytes, vocabFile: "CLIP's vocabulary", mergesFile: path)
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

    private static func lines(_ bytes: UnsafeRawBufferPointer) -> [Slice<UnsafeRawBufferPointer>] {
        bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    }

    /// One merge a line, two symbols with a space between; a first line starting with `#version` is skipped.
    private static func readMerges(
        _ bytes: UnsafeRawBufferPointer, file: String, tokens: [String: Int32]
    ) throws -> [UInt64: (rank: Int32, merged: Int32)] {
        var result: [UInt64: (rank: Int32, merged: Int32)] = [:]
        for (index, line) in lines(bytes).enumerated() {
            let trimmed = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
            if trimmed.isEmpty || index == 0 && trimmed.starts(with: Array("#version".utf8)) { continue }
            func fail(_ problem: String) -> SimpleFailure {
                SimpleFailure(.badData, "\(file):\(index + 1): \(problem)")
            }
            guard let text = String(validating: trimmed, as: UTF8.self) else { throw fail("not valid UTF-8") }
            let parts = text.split(separator: " ", omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else {
                throw fail("expected two symbols with a space between, found '\(text.prefix(40))'")
            }
            let ids = [String(parts[0]), String(parts[1]), String(parts[0] + parts[1])].map { tokens[$0] }
            guard let left = ids[0], let right = ids[1], let merged = ids[2] else {
                throw fail("merge '\(text.prefix(40))': a symbol or the result is not in the vocabulary")
            }
            let rank = Int32(result.count)
            guard result.updateValue((rank, merged), forKey: pairKey(left, right)) == nil else {
                throw fail("merge '\(text.prefix(40))' stands twice")
            }
        }
        return result
    }
}
