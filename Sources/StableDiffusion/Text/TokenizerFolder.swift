import Files

/// What a `tokenizer` folder holds. Current transformers write `tokenizer.json` alone; older ones `vocab.json`, `merges.txt`
/// and, for tokens that were added, `added_tokens.json` or the `added_tokens_decoder` of `tokenizer_config.json`.
struct TokenizerFolder {
    let vocabulary: Vocabulary
    let specials: SpecialTokens
    let added: [AddedToken]
    /// The file that the vocabulary is from.
    let source: String

    /// The files that make a tokenizer, as far as they are there.
    static let files = [
        "tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json",
    ]

    /// Whether the folder has a vocabulary.
    static func isOne(_ folder: String) -> Bool {
        FileSystem.isFile(folder + "/tokenizer.json")
            || FileSystem.isFile(folder + "/vocab.json") && FileSystem.isFile(folder + "/merges.txt")
    }

    init(_ folder: String) throws {
        specials = try SpecialTokens(folder: folder)
        var added: [AddedToken] = []
        if FileSystem.isFile(folder + "/tokenizer.json") {
            source = folder + "/tokenizer.json"
            let file = try TokenizerFile(ConfigFile(path: source))
            vocabulary = file.vocabulary
            added = file.added
        } else {
            source = folder + "/vocab.json"
            vocabulary = try Vocabulary(vocabFile: source, mergesFile: folder + "/merges.txt")
        }
        let config = folder + "/tokenizer_config.json"
        if FileSystem.isFile(config) { try Self.add(TokenizerFile.decoder(ConfigFile(path: config)), to: &added, config) }
        let extra = folder + "/added_tokens.json"
        if FileSystem.isFile(extra) { try Self.add(TokenizerFile.plainList(ConfigFile(path: extra)), to: &added, extra) }
        self.added = added
    }

    /// The first file that names a token tells how it is matched; all must agree on ids.
    private static func add(_ tokens: [AddedToken], to added: inout [AddedToken], _ file: String) throws {
        for token in tokens {
            guard let known = added.first(where: { $0.text == token.text }) else {
                added.append(token)
                continue
            }
            guard known.ids == token.ids else {
                throw SimpleFailure(
                    .badData,
                    "\(file): token '\(token.text.prefix(40))' has id \(token.ids[0]), elsewhere \(known.ids[0])")
            }
        }
    }
}

/// `tokenizer.json` of the library `tokenizers`: vocabulary, merges and added tokens of a byte pair encoding that works as
/// CLIP's does. What is done to a text before and after must be CLIP's too, or other tokens would come out.
struct TokenizerFile {
    let vocabulary: Vocabulary
    let added: [AddedToken]

    init(_ file: ConfigFile) throws {
        guard let model = file.json["model"], model.object != nil else {
            throw file.bad("model", expected: "an object", found: file.json["model"]?.typeName ?? "nothing")
        }
        try Self.checkModel(try ConfigFile(file: "\(file.file): model", json: model))
        try Self.checkSteps(file)
        vocabulary = try Vocabulary(
            tokens: model["vocab"] ?? .null, merges: Self.merges(model["merges"], file), vocabFile: file.file)
        added = try Self.list(file)
    }

    private static func checkModel(_ model: ConfigFile) throws {
        // Files from before the key was written are told by their merges.
        let kind = try model.string("type", default: "BPE")
        guard kind == "BPE" else { throw model.bad("type", expected: "BPE", found: kind) }
        let suffix = try model.string("end_of_word_suffix", default: "")
        guard suffix == Vocabulary.endOfWord else {
            throw model.bad("end_of_word_suffix", expected: Vocabulary.endOfWord, found: "'\(suffix)'")
        }
        guard try model.string("continuing_subword_prefix", default: "").isEmpty else {
            throw model.bad("continuing_subword_prefix", expected: "nothing", found: "a text")
        }
        for key in ["dropout", "byte_fallback", "ignore_merges"] {
            switch model.json[key] {
            case nil, .null, .bool(false), .integer(0), .number(0): continue
            case let value?: throw model.bad(key, expected: "null or false", found: value.serialized())
            }
        }
    }

    /// The steps around the model, by their types: their parameters are the library's for CLIP.
    private static func checkSteps(_ file: ConfigFile) throws {
        let normalizers = kinds(file.json["normalizer"], "normalizers")
        guard normalizers == ["NFC", "Replace", "Lowercase"] else {
            throw file.bad(
                "normalizer", expected: "CLIP's (NFC, Replace, Lowercase)", found: normalizers.joined(separator: ", "))
        }
        let splitters = kinds(file.json["pre_tokenizer"], "pretokenizers")
        guard splitters == ["Split", "ByteLevel"] else {
            throw file.bad(
                "pre_tokenizer", expected: "CLIP's (Split, ByteLevel)", found: splitters.joined(separator: ", "))
        }
        let pattern = file.json["pre_tokenizer"]?["pretokenizers"]?.array?.first?["pattern"]?["Regex"]?.string ?? ""
        guard pattern.contains("'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+") else {
            throw file.bad("pre_tokenizer.pattern", expected: "CLIP's", found: "'\(pattern.prefix(60))'")
        }
    }

    private static func kinds(_ step: JSON?, _ members: String) -> [String] {
        guard let step, !step.isNull else { return ["nothing"] }
        guard let list = step[members]?.array else { return [step["type"]?.string ?? "?"] }
        return list.map { $0["type"]?.string ?? "?" }
    }

    /// Each as "left right" or, since tokenizers 0.20, ["left", "right"].
    private static func merges(_ list: JSON?, _ file: ConfigFile) throws -> [Vocabulary.Merge] {
        guard let list = list?.array else {
            throw file.bad("model.merges", expected: "an array", found: list?.typeName ?? "nothing")
        }
        return try list.enumerated().map { index, entry in
            let place = "\(file.file): merges[\(index)]"
            if let text = entry.string { return try Vocabulary.merge(text, place: place) }
            guard let pair = entry.array, pair.count == 2, let left = pair[0].string, let right = pair[1].string,
                !left.isEmpty, !right.isEmpty
            else { throw SimpleFailure(.badData, "\(place): expected two symbols, found \(entry.typeName)") }
            return (left[...], right[...], place)
        }
    }

    private static func list(_ file: ConfigFile) throws -> [AddedToken] {
        guard let member = file.json["added_tokens"], !member.isNull else { return [] }
        guard let list = member.array else {
            throw file.bad("added_tokens", expected: "an array", found: member.typeName)
        }
        return try list.map { try token($0, id: $0["id"]?.int, file) }
    }

    /// `added_tokens_decoder`: id → token.
    static func decoder(_ file: ConfigFile) throws -> [AddedToken] {
        guard let member = file.json["added_tokens_decoder"], !member.isNull else { return [] }
        guard let object = member.object else {
            throw file.bad("added_tokens_decoder", expected: "an object of id: token", found: member.typeName)
        }
        return try object.map { try token($0.value, id: Int($0.key), file) }
    }

    /// `added_tokens.json`: token → id.
    static func plainList(_ file: ConfigFile) throws -> [AddedToken] {
        try (file.json.object ?? JSONObject()).map { text, id in
            try token(["content": .string(text), "normalized": true], id: id.int, file)
        }
    }

    private static func token(_ json: JSON, id: Int?, _ file: ConfigFile) throws -> AddedToken {
        guard let text = json["content"]?.string, !text.isEmpty, let id, (0..<1 << 24).contains(id) else {
            throw file.bad(
                "added tokens", expected: "each with an id from 0 to \(1 << 24 - 1) and a content",
                found: String(json.serialized().prefix(80)))
        }
        let isSpecial = json["special"]?.bool ?? false
        return AddedToken(
            text: text, ids: [Int32(id)], isNormalized: json["normalized"]?.bool ?? !isSpecial,
            isSingleWord: json["single_word"]?.bool ?? false)
    }
}

/// How a tokenizer folder spells its start, end and padding tokens; CLIP's spelling where it says nothing.
struct SpecialTokens {
    var start = "<|startoftext|>"
    var end = "<|endoftext|>"
    var pad: String

    init() { pad = end }

    /// `special_tokens_map.json` wins over `tokenizer_config.json`. A token stands as a string, or as an object with
    /// `content`.
    init(folder: String) throws {
        self.init()
        var named: [String: String] = [:]
        for file in ["tokenizer_config.json", "special_tokens_map.json"] {
            let path = folder + "/" + file
            guard FileSystem.isFile(path) else { continue }
            let json = try JSON.read(path)
            for key in ["bos_token", "eos_token", "pad_token"] {
                guard let value = json[key], !value.isNull else { continue }
                guard let token = value.string ?? value["content"]?.string, !token.isEmpty else {
                    throw SimpleFailure(.badData, "\(path): \(key) is neither a string nor has a string 'content'")
                }
                named[key] = token
            }
        }
        start = named["bos_token"] ?? start
        end = named["eos_token"] ?? end
        pad = named["pad_token"] ?? end
    }
}
