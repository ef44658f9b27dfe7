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
}
