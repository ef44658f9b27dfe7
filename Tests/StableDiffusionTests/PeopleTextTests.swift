import Checkpoints
import Files
import Foundation
import Ops
import StableDiffusion
import Tensors
import Testing
import TestSupport

/// Tokenizers, textual inversions and weighted prompts as people have them, against transformers, diffusers and the web
/// interface's arithmetic (tools/goldens/prompts.py).
@Suite struct PeopleTextTests {
    private static let model = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../Sources/Experiments/Resources/shapes").standardizedFileURL.path

    @Test(arguments: ["tokenizer-json", "tokenizer-old-merges", "tokenizer-added", "tokenizer-decoder"])
    func everyVersionsFolderGivesTheReferencesTokens(_ name: String) throws {
        let tokenizer = try Tokenizer(folder: fixture("people/" + name))
        let golden = try #require(try JSON.read(fixture("people/ids.json"))[name]?.object)
        #expect(golden.count == 17)
        for (text, ids) in golden {
            let expected = ids.array?.compactMap(\.int)
            let encoding = tokenizer.encode(text)
            #expect(encoding.ids.prefix(encoding.fullLength).map(Int.init) == expected, "\(text)")
        }
    }

    @Test func addedTokensShowAsTheyAreSpelled() throws {
        let tokenizer = try Tokenizer(folder: fixture("people/tokenizer-json"))
        #expect(tokenizer.text(of: 675) == "<cat-toy>")
        #expect(tokenizer.decode(tokenizer.tokens(of: "a <cat-toy> star")) == "a <cat-toy> star")
    }

    /// Everything of `tokenizer.json` that would make other tokens is refused.
    @Test(arguments: [
        ("model", "end_of_word_suffix", ""), ("model", "type", "WordPiece"), ("model", "dropout", 0.1),
        ("model", "continuing_subword_prefix", "##"), ("model", "byte_fallback", true), ("model", "merges", "x"),
        ("model", "merges", [["a", "b", "c"]]), ("model", "vocab", []), ("", "normalizer", .null),
        ("", "pre_tokenizer", ["type": "ByteLevel"]), ("", "added_tokens", [["id": -1, "content": "x"]]),
        ("", "added_tokens", 7), ("", "model", .null),
    ] as [(String, String, JSON)]) func otherTokenizersAreRefused(_ section: String, _ key: String, _ value: JSON) throws {
        let folder = try TemporaryFolder()
        var json = try #require(try JSON.read(fixture("people/tokenizer-json/tokenizer.json")).object)
        if section.isEmpty {
            json[key] = value
        } else {
            var inner = try #require(json[section]?.object)
            inner[key] = value
            json[section] = .object(inner)
        }
        try JSON.object(json).write(to: folder.file("tokenizer.json"), overwrite: false)
        #expect { try Tokenizer(folder: folder.path) } throws: {
            // A vocabulary that is none is refused by the reader of `vocab.json` too, and added tokens are named as such.
            let names = ["vocab": "token: id", "added_tokens": "added"]
            return "\($0)".hasPrefix(folder.file("tokenizer.json")) && "\($0)".contains(names[key] ?? key)
        }
    }

    @Test func filesThatDisagreeAboutATokenAreRefused() throws {
        let folder = try TemporaryFolder()
        for name in ["vocab.json", "merges.txt", "tokenizer_config.json", "added_tokens.json"] {
            _ = try folder.write(name, Array(Data(contentsOf: URL(fileURLWithPath: fixture("people/tokenizer-added/\(name)")))))
        }
        let config: JSON = ["added_tokens_decoder": ["680": ["content": "<cat-toy>"]]]
        try config.write(to: folder.file("tokenizer_config.json"), overwrite: true)
        #expect { try Tokenizer(folder: folder.path) } throws: {
            "\($0)".contains("added_tokens.json: token '<cat-toy>' has id 675, elsewhere 680")
        }
    }

    private static func encoder(_ embeddings: [(file: String, token: String?)] = []) throws -> PromptEncoder {
        let words = try embeddings.map { try TextualInversion(path: fixture("people/" + $0.file), token: $0.token) }
        let source = try ModelSource(path: model, embeddings: words)
        return try PromptEncoder(ModelFolder(source), engine: Engine())
    }

    private static func difference(_ context: Tensor, _ name: String) throws -> Float {
        let golden = try SafetensorsFile(path: fixture("people/context.safetensors")).weight(name)
        guard golden.shape == context.shape else { return .infinity }
        return zip(context.array, golden.floats()).map { abs($0 - $1) }.max() ?? .infinity
    }

    @Test(arguments: [
        ("web.pt", nil), ("shiny.safetensors", nil), ("shiny.safetensors", "Shiny"),
    ] as [(String, String?)]) func severalVectorsStandForOneWord(_ file: String, _ token: String?) throws {
        let context = try Self.encoder([(file, token)]).encode(["a shiny red star, shiny"]).context
        #expect(try Self.difference(context, "shiny") < 2e-5)
    }

    @Test(arguments: ["learned_embeds.safetensors", "learned_embeds.bin"]) func diffusersFilesKnowTheirWord(
        _ file: String
    ) throws {
        let context = try Self.encoder([("shiny.safetensors", nil), (file, nil)])
            .encode(["a large <cat-toy> at the left"]).context
        #expect(try Self.difference(context, "cat-toy") < 2e-5)
    }

    @Test func embeddingsThatCannotBeAreRefused() throws {
        let folder = try TemporaryFolder()
        func message(_ tensors: [(name: String, tensor: Tensor)], token: String? = nil) throws -> String {
            let path = folder.file("word.safetensors")
            try SafetensorsWriter.write(tensors, to: path, overwrite: true)
            do {
                let word = try TextualInversion(path: path, token: token)
                let source = try ModelSource(path: Self.model, embeddings: [word])
                _ = try PromptEncoder(ModelFolder(source), engine: Engine())
                return "no error"
            } catch {
                return "\(error)"
            }
        }
        #expect(try message([("emb_params", .zeros([2, 64]))]) == "no error")
        #expect(try message([("emb_params", .zeros([2, 63]))]).contains("vectors of 63 numbers, the text encoder has 64"))
        #expect(try message([("emb_params", .zeros([2, 2, 64]))]).contains("expected [vectors, width]"))
        #expect(try message([("emb_params", Tensor([64], [Float](repeating: .nan, count: 64)))]).contains("holds nan"))
        #expect(try message([("a", .zeros([64])), ("b", .zeros([64]))]).contains("2 tensors (a, b)"))
        #expect(try message([("clip_g", .zeros([64])), ("clip_l", .zeros([64]))]).contains("Stable Diffusion XL"))
        #expect(try message([("emb_params", .zeros([64]))], token: "red</w>").contains("in the vocabulary already"))
    }

    @Test func emphasisIsTheWebInterfaces() throws {
        let prompts = try #require(try JSON.read(fixture("people/prompts.json")).array)
        let encoder = try Self.encoder()
        for (index, entry) in prompts.enumerated() {
            let prompt = try #require(entry["prompt"]?.string)
            let context = try encoder.encodeEmphasized([prompt]).context
            #expect(try Self.difference(context, "emphasis.\(index)") < 5e-5, "\(prompt)")
        }
        #expect(prompts.count == 14)
    }

    @Test func promptsOfDifferentLengthsGoTogether() throws {
        let encoder = try Self.encoder()
        let long = "red BREAK blue"
        let both = try encoder.encodeEmphasized([long, "star"])
        #expect(both.context.shape == [2, 154, 64])
        let alone = try encoder.encodeEmphasized(["star"])
        #expect(Array(both.context.array[(154 * 64)..<(231 * 64)]) == alone.context.array)
        let empty = try encoder.encodeEmphasized([""])
        #expect(Array(both.context.array[(231 * 64)...]) == empty.context.array)
        #expect(both.ids[1].count == 154)
    }

    @Test(arguments: [
        ("a red star", false), ("a (red:1.2) star", true), ("a [red] star", true), ("red BREAK blue", true),
        ("red <lora:x:0.8>", true), ("a \\(red\\) star", false), ("red :) star", false), ("BREAKING", false),
    ]) func syntaxIsNoticed(_ prompt: String, _ isSyntax: Bool) {
        #expect(EmphasizedPrompt(prompt).isSyntax == isSyntax)
    }

    @Test func networksAreCutOut() {
        let prompt = EmphasizedPrompt("red <lora:shiny:0.8><hypernet:x> star")
        #expect(prompt.networks == ["lora:shiny:0.8", "hypernet:x"])
        #expect(prompt.pieces.map(\.text) == ["red  star"])
        #expect(EmphasizedPrompt("red <lora:shiny").networks == [])
    }

    /// Without weights, a short prompt is what it is without emphasis.
    @Test func plainPromptsAreUnchanged() throws {
        let encoder = try Self.encoder()
        let (plain, read) = (try encoder.encode(["a red star"]), try encoder.encodeEmphasized(["a red star"]))
        #expect(plain.context.array == read.context.array && plain.ids == read.ids)
    }
}
