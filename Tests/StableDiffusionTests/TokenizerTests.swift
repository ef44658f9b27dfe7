import Files
import Foundation
import StableDiffusion
import Tensors
import Testing
import TestSupport

@Suite struct TokenizerTests {
    /// Loaded once: the vocabulary has 49,408 tokens.
    private static let published = Result { try Tokenizer(folder: fixture("tokenizer")) }

    @Test func theReferencesStrings() throws {
        let tokenizer = try Self.published.get()
        let golden = try #require(try JSON.read(fixture("tokenizer.json")).array)
        #expect(golden.count == 25)
        for entry in golden {
            let text = try #require(entry["text"]?.string)
            let encoding = tokenizer.encode(text)
            #expect(encoding.ids.map(Int.init) == entry["ids"]?.array?.compactMap(\.int), "\(text)")
            #expect(encoding.fullLength == entry["full_length"]?.int, "\(text)")
            #expect((encoding.dropped == nil) == (encoding.fullLength <= 77))
        }
    }

    /// What transformers 5.23 gives for strings at the edges of the pattern.
    @Test(arguments: [
        ("hi!<|endoftext|>x", [1883, 256, 49407, 343]),
        ("a<|startoftext|>b", [320, 49406, 321]),
        ("<|StartOfText|> y", [27, 347, 993, 6659, 4160, 91, 285, 344]),
        ("<|endoftext|", [27, 347, 40786, 4160, 347]),
        ("  <|endoftext|>  z", [49407, 345]),
        ("ΟΔΟΣ", [138, 123, 138, 112, 138, 123, 139, 481]),
        ("\u{200b}\u{a0}x\u{3000}y\u{85}z\u{1f}w", [9844, 343, 344, 345, 475, 342]),
        ("Ǆ ŉ ﬃ", [131, 484, 129, 487, 171, 105, 481]),
        ("a\u{301} \u{301}a", [22229, 136, 479, 320]),
        ("'S 'LL don'T", [568, 1342, 847, 713]),
        ("!'s ''s", [13222, 338, 8445, 338]),
        ("x\u{0}y\u{d7ff}", [343, 444, 344, 169, 253, 379]),
        ("①²Ⅷ٣", [158, 239, 510, 41175, 158, 227, 371, 149, 352]),
        ("\u{feff}bom", [171, 119, 379, 19469]),
        ("e\u{301}\u{327}", [132, 358, 136, 479]),
        ("ᾼ ẞ K", [157, 122, 367, 127, 509, 330]),
        (" ", []),
    ]) func edges(text: String, expected: [Int]) throws {
        let tokenizer = try Self.published.get()
        #expect(tokenizer.tokens(of: text).map(Int.init) == expected)
    }

    @Test func aLongPromptIsCutAndTheRestIsNamed() throws {
        let tokenizer = try Self.published.get()
        let words = (0..<75).map { _ in "cat" } + ["naïve", "dog!"]
        let encoding = tokenizer.encode(words.joined(separator: " "))
        #expect(encoding.ids.count == 77)
        #expect(encoding.ids.last == tokenizer.endID)
        #expect(encoding.dropped == "naïve dog !")
        #expect(tokenizer.encode(words.prefix(75).joined(separator: " ")).dropped == nil)
    }

    /// What single-file checkpoints are tokenized with is what folders have.
    @Test func theBuiltInVocabularyIsThePublishedOne() throws {
        let (folder, builtIn) = (try Self.published.get(), try Tokenizer.clip())
        #expect(builtIn.vocabulary.count == 49_408)
        #expect((0..<49_408).allSatisfy { builtIn.text(of: $0) == folder.text(of: $0) })
        #expect([builtIn.startID, builtIn.endID, builtIn.padID] == [folder.startID, folder.endID, folder.padID])
        let text = "A Painting of naïve 日本語 <|endoftext|> don't 123"
        #expect(builtIn.encode(text).ids == folder.encode(text).ids)
    }

    /// What `convert` gives a single-file checkpoint.
    @Test func theBuiltInVocabularyIsWrittenAsPublished() throws {
        let folder = try TemporaryFolder()
        try Vocabulary.writeCLIP(to: folder.path, overwrite: false)
        let published = try Data(contentsOf: URL(fileURLWithPath: fixture("tokenizer/merges.txt")))
        #expect(try folder.bytes("merges.txt") == Array(published))
        #expect(try JSON.read(folder.file("vocab.json")) == JSON.read(fixture("tokenizer/vocab.json")))
    }

    @Test func decodingGivesBackNormalText() throws {
        let tokenizer = try Self.published.get()
        #expect(tokenizer.decode(tokenizer.tokens(of: "Émile likes 日本")) == "émile likes 日本")
        #expect(tokenizer.text(of: 320) == "a</w>")
        #expect(tokenizer.text(of: 1 << 30) == "")
    }

    /// A hundred thousand letters without a space take the time of a prompt, not of their square.
    @Test func aVeryLongWordIsTokenized() throws {
        let tokenizer = try Self.published.get()
        let tokens = tokenizer.tokens(of: String(repeating: "abcdefghij", count: 10_000))
        #expect(tokenizer.decode(tokens).count == 100_000)
    }
}

/// Files that are not what they claim to be.
@Suite struct VocabularyFailureTests {
    private static let bytes: [String] = {
        let printable = (33...126).map { $0 } + Array(161...172) + Array(174...255)
        let others = (0..<(256 - printable.count)).map { 256 + $0 }
        return (printable + others).compactMap { Unicode.Scalar($0).map { String($0) } }
    }()

    /// A vocabulary of the single bytes and these extra tokens.
    private func write(extra: [String] = ["<|startoftext|>", "<|endoftext|>"], merges: String) throws -> String {
        let tokens = Self.bytes + Self.bytes.map { $0 + "</w>" } + extra
        let json = JSON(tokens.enumerated().map { ($1, JSON.integer($0)) })
        return try write(vocab: Array(json.serialized().utf8), merges: Array(merges.utf8))
    }

    private func write(vocab: [UInt8], merges: [UInt8]) throws -> String {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("lvo-vocab-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data(vocab).write(to: folder.appendingPathComponent("vocab.json"))
        try Data(merges).write(to: folder.appendingPathComponent("merges.txt"))
        return folder.path
    }

    private func failure(of folder: String) -> String {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        do {
            _ = try Tokenizer(folder: folder)
            return "no error"
        } catch {
            return String(describing: error)
        }
    }

    @Test(arguments: [
        ("#version: 0.2\na b\n", "merges.txt:2: merge 'a b': a symbol or the result is not in the vocabulary"),
        ("a b c\n", "merges.txt:1: expected two symbols"),
        ("#version\n\nab\n", "merges.txt:3: expected two symbols"),
        (" a\n", "merges.txt:1: expected two symbols"),
    ]) func badMerges(merges: String, message: String) throws {
        #expect(failure(of: try write(merges: merges)).contains(message))
    }

    @Test func aMergeTwice() throws {
        let folder = try write(extra: ["ab", "<|startoftext|>", "<|endoftext|>"], merges: "a b\n\na b\n")
        #expect(failure(of: folder).contains("merges.txt:3: merge 'a b' stands twice"))
    }

    @Test func mergesThatAreNotText() throws {
        let good = try write(merges: "")
        let vocab = try Data(contentsOf: URL(fileURLWithPath: good + "/vocab.json"))
        #expect(failure(of: good) == "no error")
        let bad = try write(vocab: Array(vocab), merges: [0x61, 0x20, 0xFF])
        #expect(failure(of: bad).contains("merges.txt: line 1 is not UTF-8"))
    }

    @Test func missingSpecialToken() throws {
        #expect(failure(of: try write(extra: ["<|startoftext|>"], merges: "")).contains("'<|endoftext|>' is not in"))
    }

    @Test(arguments: [
        ("[]", "expected an object"), ("{\"a\": -1}", "token 'a'"), ("{\"a\": 1.5}", "token 'a'"),
        ("{\"a\": 99999999}", "token 'a'"), ("{\"a\": 65537}", "from 0 to 65536"),
        ("{\"a\": 0, \"b\": 0}", "same id 0"), ("{\"a\": 0}", "for byte"),
        ("{\"a\": 0", "vocab.json"),
    ]) func badVocabulary(json: String, message: String) throws {
        #expect(failure(of: try write(vocab: Array(json.utf8), merges: [])).contains(message))
    }

    /// Files with bytes changed, cut or doubled load or fail with a message; they never trap.
    @Test func damagedFilesDoNotTrap() throws {
        let good = try write(extra: ["ab", "abc</w>", "<|startoftext|>", "<|endoftext|>"], merges: "a b\nab c</w>\n")
        defer { try? FileManager.default.removeItem(atPath: good) }
        let files = ["vocab.json", "merges.txt"]
        let contents = try files.map { Array(try Data(contentsOf: URL(fileURLWithPath: "\(good)/\($0)"))) }
        var failures = 0
        for round in 0..<600 {
            let random = CounterRandom(seed: 7, purpose: .selection, unit: UInt64(round))
            let which = round % 2
            var bytes = contents[which]
            for change in 0..<random.integer(0, in: 1...4) {
                let place = random.integer(4 * change + 1, in: 0...bytes.count - 1)
                switch random.integer(4 * change + 2, in: 0...2) {
                case 0: bytes[place] = UInt8(random.integer(4 * change + 3, in: 0...255))
                case 1: bytes.removeSubrange(place..<min(place + 3, bytes.count - 1))
                default: bytes.insert(contentsOf: bytes[place..<min(place + 9, bytes.count)], at: place)
                }
            }
            try Data(bytes).write(to: URL(fileURLWithPath: "\(good)/\(files[which])"))
            if (try? Tokenizer(folder: good)) == nil { failures += 1 }
            try Data(contents[which]).write(to: URL(fileURLWithPath: "\(good)/\(files[which])"))
        }
        #expect(failures > 100, "the changes reach what is checked")
        #expect(try Tokenizer(folder: good).tokens(of: "abc").count == 1)
    }

    @Test func aMissingFileIsNamed() throws {
        #expect(failure(of: "/nowhere/tokenizer").contains("/nowhere/tokenizer/vocab.json"))
    }
}
