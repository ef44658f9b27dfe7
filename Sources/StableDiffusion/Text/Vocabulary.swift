import Checkpoints
import Tensors

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
    /// More tokens than any known text encoder has; a guard against hostile ids.
    private static let largestID = 1 << 24

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
        guard let members = try JSON.read(vocabFile).object else {
            throw SimpleFailure(.badData, "\(vocabFile): expected an object of token: id")
        }
        var ids: [String: Int32] = [:]
        var texts: [String?] = []
        ids.reserveCapacity(members.count)
        for (text, value) in members {
            guard let id = value.int, (0..<Self.largestID).contains(id) else {
                throw SimpleFailure(.badData, "\(vocabFile): the id of token '\(text)' is not an integer in 0..<2^24")
            }
            if id >= texts.count { texts += repeatElement(nil, count: id + 1 - texts.count) }
            if let other = texts[id] {
                throw SimpleFailure(.badData, "\(vocabFile): tokens '\(other)' and '\(text)' have the same id \(id)")
            }
            texts[id] = text
            ids[text] = Int32(id)
        }
        let mapped = try MappedFile(path: mergesFile)
        defer { withExtendedLifetime(mapped) {} }
        try self.init(ids: ids, texts: texts, merges: mapped.bytes, vocabFile: vocabFile, mergesFile: mergesFile)
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

    /// CLIP's published vocabulary, which Stable Diffusion 1.x uses: the bytes by their symbols, the same at a word's
    /// end, one token a merge rule, start and end.
    public static func clip() throws -> Vocabulary {
        let bytes = ByteSymbols.characters.sorted().map { String($0) }
        let rules = UnsafeRawBufferPointer(start: ClipMerges.text.utf8Start, count: ClipMerges.text.utf8CodeUnitCount)
        let merged = lines(rules).dropFirst().filter { !$0.isEmpty }.map { line in
            String(decoding: line.filter { $0 != UInt8(ascii: " ") }, as: UTF8.self)
        }
        let texts = bytes + bytes.map { $0 + endOfWord } + merged + [SpecialTokens().start, SpecialTokens().end]
        let ids = Dictionary(texts.enumerated().map { ($1, Int32($0)) }, uniquingKeysWith: { first, _ in first })
        return try Vocabulary(
            ids: ids, texts: texts, merges: rules, vocabFile: "built-in vocabulary", mergesFile: "built-in merges")
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
