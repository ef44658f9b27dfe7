import Checkpoints
import Files
import Foundation
import StableDiffusion
import Tensors
import Testing
import TestSupport

/// Damaged tokenizers, prompts, `parameters` texts and scheduler files.
@Suite(.serialized) struct FuzzTests {
    struct PropertyError: Error {}

    private static func corpus(_ folder: String) throws -> [[UInt8]] {
        try FuzzCampaign.corpus(folder: fixture("fuzz/" + folder))
    }

    private static func text(_ input: GuardedInput) throws -> String {
        guard let text = String(validating: input.bytes, as: UTF8.self) else {
            throw SimpleFailure(.badData, "not UTF-8")
        }
        return text
    }

    /// What holds for every prompt with any vocabulary that was accepted.
    private static func use(_ vocabulary: Vocabulary, _ prompts: [String]) throws {
        let tokenizer = try Tokenizer(vocabulary: vocabulary)
        for prompt in prompts {
            let encoding = tokenizer.encode(prompt)
            guard encoding.ids.count == 77, encoding.ids[0] == tokenizer.startID else { throw PropertyError() }
            _ = tokenizer.decode(encoding.ids)
        }
    }

    private static let prompts = ["a large red circle", "", "naïve <|endoftext|> 日本"]

    @Test func merges() throws {
        let campaign = FuzzCampaign(
            "merges", corpus: try Self.corpus("merges"), words: ["#version: 0.2\n", " ", "</w>", "\n", "\r\n", "Ġ"])
        let tokens = try JSON.read(fixture("fuzz/vocab/shapes.json"))
        campaign.check(1000) { input in
            try Self.use(
                Vocabulary(tokens: tokens, merges: input.bytes, vocabFile: "vocab", mergesFile: "fuzz"), Self.prompts)
        }
    }

    @Test func vocabularies() throws {
        let campaign = FuzzCampaign(
            "vocabulary", corpus: try Self.corpus("vocab"),
            words: ["16777215", "-1", "\"</w>\":", "1e3", "2147483648", "{\"a\":0}", "0.5", "\\u0000"])
        let merges = Array("r i\na r\n".utf8)
        campaign.check(1000) { input in
            let vocabulary = try merges.withUnsafeBytes {
                try Vocabulary(tokens: JSON.parse(input.bytes), merges: $0, vocabFile: "fuzz", mergesFile: "merges")
            }
            try Self.use(vocabulary, Self.prompts)
        }
    }

    @Test func promptsWithThePublishedVocabulary() throws {
        let campaign = FuzzCampaign(
            "prompt", corpus: try Self.corpus("prompts"),
            words: ["<|endoftext|>", "<|startoftext|>", "'s", "\u{301}", "\u{1F468}\u{200D}\u{1F469}", "İ", "\u{0}"])
        let vocabulary = try Tokenizer(folder: fixture("tokenizer")).vocabulary
        campaign.check(2000) { try Self.use(vocabulary, [Self.text($0)]) }
    }

    /// What is read, written and read again is the same.
    @Test func parameters() throws {
        let campaign = FuzzCampaign(
            "parameters", corpus: try Self.corpus("parameters"),
            words: [
                "Negative prompt:", "Clip skip: -9223372036854775808", "nan", "inf", "1e999", ", Seed: ", "\"", "\\", "\r\n",
                "18446744073709551616", "Steps: 1, Seed: 2, Size: 0x0", "Denoising strength: ",
            ])
        campaign.check(4000) { input in
            var first = try ParametersText.parse(Self.text(input), name: "fuzz")
            let size = (first.width ?? 8, first.height ?? 16)
            let written = ParametersText.text(
                first, sampler: .ddim, width: size.0, height: size.1, usesPicture: true)
            (first.sampler, first.width, first.height) = (first.sampler ?? .ddim, size.0, size.1)
            guard try ParametersText.parse(written, name: "again") == first else { throw PropertyError() }
        }
    }

    @Test func schedulers() throws {
        let campaign = FuzzCampaign(
            "scheduler", corpus: try Self.corpus("scheduler"),
            words: ["100000", "-1", "1e-300", "\"trailing\"", "\"leading\"", "true", "null", "-Infinity", "[]", "999"])
        var limits = JSON.Limits()
        limits.negativeInfinity = true
        let sample = Tensor([1, 1, 1, 2], [0.5, -2])
        campaign.check(1000) { input in
            let json = try JSON.parse(input.bytes, limits: limits)
            let configuration = try SchedulerConfiguration(ConfigFile(file: "fuzz", json: json))
            for name in SamplerName.allCases {
                var sampler = try configuration.sampler(name, steps: 1 + input.bytes.count % 40)
                var x = sample
                for call in sampler.timesteps.indices {
                    _ = sampler.inputScale(at: call)
                    x = sampler.step(sample, at: call, sample: x) { sample }
                }
                _ = sampler.addNoise(sample, noise: sample, at: 0)
            }
        }
    }

    @Test func tokenizerFiles() throws {
        let corpus = [try Self.smallTokenizer()]
        let campaign = FuzzCampaign(
            "tokenizer.json", corpus: corpus,
            words: [
                "16777215", "-1", "[\"a\",\"b\"]", "\"a b\"", "null", "true", "{\"id\":3,\"content\":\"x\"}",
                "\"</w>\"",
            ])
        campaign.check(1000) { input in
            let tokenizer = try Tokenizer(tokenizerJSON: ConfigFile(file: "fuzz", json: JSON.parse(input.bytes)))
            for prompt in Self.prompts + ["a <cat-toy> x", "Two  WORDSsingle"] {
                guard tokenizer.encode(prompt).ids.count == 77 else { throw PropertyError() }
            }
        }
    }

    /// A `tokenizer.json` of the bytes and three merges: short, so that damage hits what is read.
    private static func smallTokenizer() throws -> [UInt8] {
        var json = try #require(try JSON.read(fixture("people/tokenizer-json/tokenizer.json")).object)
        var model = try #require(json["model"]?.object)
        let merges = Array(try #require(model["merges"]?.array).prefix(3))
        let merged = Set(merges.compactMap { $0.array }.map { ($0[0].string ?? "") + ($0[1].string ?? "") })
        let kept = try #require(model["vocab"]?.object).filter { key, _ in
            key.replacing("</w>", with: "").unicodeScalars.count <= 1 || merged.contains(key) || key.hasPrefix("<|")
        }
        model["merges"] = .array(merges)
        model["vocab"] = JSON(kept.map { ($0.key, $0.value) })
        json["model"] = .object(model)
        return Array(JSON.object(json).serialized().utf8)
    }

    @Test func textualInversions() throws {
        let files = ["web.pt", "shiny.safetensors", "learned_embeds.safetensors", "learned_embeds.bin"]
        let corpus = try files.map { [UInt8](try Data(contentsOf: URL(fileURLWithPath: fixture("people/" + $0)))) }
        let campaign = FuzzCampaign(
            "textual inversion", corpus: corpus, words: ["string_to_param", "emb_params", "clip_l", "\"shape\":[1,768]", "PK"])
        campaign.check(1000) { input in
            let file = try WeightFile(MappedFile(name: "fuzz", bytes: input.bytes, owner: input))
            let word = try TextualInversion(file, path: "fuzz.pt", token: nil)
            guard word.vectors > 0, !word.token.isEmpty else { throw PropertyError() }
        }
    }

    @Test func emphasis() throws {
        let campaign = FuzzCampaign(
            "emphasis", corpus: try Self.corpus("emphasis"),
            words: [
                "(", ")", "[", "]", ":1.5)", ":-", " BREAK ", "\\(", "<lora:", ">", ":1e9)", ":.)", ", ", "((((((((", "word ",
            ])
        let tokenizer = try Tokenizer(folder: fixture("people/tokenizer-added"))
        campaign.check(1000) { input in
            let prompt = EmphasizedPrompt(try Self.text(input))
            let chunks = TokenChunks(prompt, tokenizer: tokenizer)
            let isWhole = zip(chunks.ids, chunks.weights).allSatisfy { $0.count == 77 && $1.count == 77 }
            guard isWhole, !chunks.ids.isEmpty, prompt.pieces.allSatisfy({ !$0.weight.isNaN }) else {
                throw PropertyError()
            }
        }
    }

    @Test func adapterConfigurations() throws {
        let campaign = FuzzCampaign(
            "adapter", corpus: try Self.corpus("adapter"),
            words: ["\"r\":0", "1e308", "-1", "null", "{\"x\":1}", "\"^down\":", "true", "\"pissa\"", "\"IA3\"", "0.5"])
        let module = "down_blocks.0.resnets.0.conv1"
        campaign.check(1000) { input in
            let config = try AdapterConfig(ConfigFile(file: "fuzz", json: JSON.parse(input.bytes)))
            _ = try config.scale(module, rank: nil)
            _ = try config.scale("text_model.encoder.layers.0.mlp.fc1", rank: 4)
        }
    }

    /// What is read as lines holds no line end, and every byte of it was in the file.
    @Test func lines() throws {
        let campaign = FuzzCampaign(
            "lines", corpus: try Self.corpus("lines"),
            words: ["\r\n", "\r", "\n", "\u{FEFF}", "\0", "\u{301}", "\u{2028}", "\u{85}", "\n\r"])
        campaign.check(1000) { input in
            let lines = try TextLines.split(Array(input.bytes), file: "fuzz")
            let bytes = lines.map(\.utf8.count).reduce(0, +)
            guard !lines.contains(where: { $0.utf8.contains(0x0A) || $0.utf8.contains(0x0D) || $0.utf8.contains(0) }),
                bytes <= input.bytes.count
            else { throw PropertyError() }
        }
    }
}
