import Checkpoints
import Foundation
import Tensors
import TestSupport
import Testing

/// Deterministic campaigns over every parser of this module; `tools/fuzz` makes them long.
@Suite(.serialized) struct FuzzTests {
    static func corpus(_ names: [String]) throws -> [[UInt8]] {
        try names.map { [UInt8](try Data(contentsOf: URL(fileURLWithPath: Fixtures.path($0)))) }
    }

    /// The fixtures of one folder below `fuzz`, in the order of their names.
    static func corpus(folder: String) throws -> [[UInt8]] {
        let path = try Fixtures.path("fuzz/" + folder)
        return try corpus(FileManager.default.contentsOfDirectory(atPath: path).sorted().map { "fuzz/\(folder)/\($0)" })
    }

    /// - Parameters:
    ///   - count: inputs in an ordinary test run.
    ///   - share: part of a long campaign's number, less than 1 where an input is a whole model.
    static func check(
        _ campaign: FuzzCampaign, _ count: Int, share: Double = 1, wrap: ([UInt8]) -> [UInt8] = { $0 },
        parse: (GuardedInput) throws -> Void
    ) {
        let before = FuzzCampaign.peakMemory
        let inputs = FuzzCampaign.longCount.map { Int(Double($0) * share) } ?? count
        let result = campaign.run(inputs, wrap: wrap, parse: parse)
        #expect(result.unexpected.isEmpty)
        #expect(result.slow.isEmpty)
        // Both outcomes must occur, or the campaign does not reach beyond the first check.
        #expect(result.accepted > 0 && result.refused > 0)
        if FuzzCampaign.longCount != nil {
            // Inputs are below 200 KB; other tests do not run beside a long campaign.
            #expect(FuzzCampaign.peakMemory - before < 256 << 20)
            print("\(campaign.name): \(result.accepted) accepted, \(result.refused) refused")
        }
    }

    static func weights(_ input: GuardedInput) throws -> [Weight] {
        try WeightFile(MappedFile(name: "fuzz", bytes: input.bytes, owner: input)).weights
    }

    static let jsonWords = [
        "\"\\ud83d\\ude00\"", "[[[[[[[[", "{\"a\":", "1e308", "-0.0", "null", "\\u0000", "\u{FEFF}",
    ]

    @Test func json() throws {
        let campaign = FuzzCampaign("json", corpus: try Self.corpus(folder: "json"), words: Self.jsonWords)
        Self.check(campaign, 4000) { input in
            let json = try JSON.parse(input.bytes)
            // What is accepted must survive writing and reading.
            guard try JSON.parse(json.serialized()) == json else { throw RoundTripError() }
        }
    }

    struct RoundTripError: Error {}

    @Test func configurations() throws {
        let campaign = FuzzCampaign(
            "config",
            corpus: try Self.corpus([
                "containers/folder-fp32/unet/config.json", "containers/folder-fp32/vae/config.json",
                "containers/folder-fp32/text_encoder/config.json",
            ]), words: Self.jsonWords + ["9223372036854775807", "1073741824", "-1", "[]", "[0]"])
        Self.check(campaign, 4000) { input in
            let config = try ConfigFile(file: "fuzz", json: try JSON.parse(input.bytes))
            for component in ModelComponent.allCases { _ = try component.manifest(config).shapes }
        }
    }

    static let safetensorsWords = [
        "\"dtype\":\"F64\"", "\"shape\":[4294967296,4294967296]", "\"data_offsets\":[0,0]", "__metadata__", "[]", "-1",
    ]

    @Test func safetensors() throws {
        let corpus = try Self.corpus(["containers/lora/kohya.safetensors", "containers/lora/peft-merged.safetensors"])
        let campaign = FuzzCampaign("safetensors", corpus: corpus, words: Self.safetensorsWords)
        Self.check(campaign, 4000) { input in
            for weight in try Self.weights(input) { _ = weight.floats() }
        }
    }

    @Test func torchFiles() throws {
        let corpus = try Self.corpus(["containers/lora/diffusers-old.bin", "containers/refused/complex.ckpt"])
        let campaign = FuzzCampaign(
            "torch", corpus: corpus, words: ["PK\u{1}\u{2}", "PK\u{3}\u{4}", "PK\u{5}\u{6}", "data.pkl"])
        Self.check(campaign, 4000) { input in
            for weight in try Self.weights(input) { _ = weight.floats() }
        }
    }

    @Test func pickles() throws {
        let corpus = try Self.corpus(folder: "pickle")
        let campaign = FuzzCampaign(
            "pickle", corpus: corpus,
            words: ["ctorch\nFloatStorage\n", "ctorch._utils\n_rebuild_tensor_v2\n", "(", "tR", "Q"])
        let data = [UInt8](repeating: 1, count: 64)
        Self.check(
            campaign, 4000,
            wrap: { ZipBytes.archive([("a/data.pkl", $0), ("a/data/0", data), ("a/data/1", data)]) }
        ) { input in
            for weight in try Self.weights(input) { _ = weight.floats() }
        }
    }

    /// Whole models: layouts read off damaged names and shapes.
    @Test func models() throws {
        let corpus = try Self.corpus(["containers/ldm-fp16-ema.safetensors"])
        let campaign = FuzzCampaign("model", corpus: corpus, words: Self.safetensorsWords)
        let folder = try TemporaryFolder()
        Self.check(campaign, 50, share: 0.02) { input in
            let path = try folder.write("model.safetensors", Array(input.bytes))
            _ = try Inspection(path: path).json.serialized()
            let source = try ModelSource(path: path)
            for component in ModelComponent.allCases { _ = try source.component(component) }
        }
    }

    @Test func loras() throws {
        let corpus = try Self.corpus(["containers/lora/kohya.safetensors"])
        let campaign = FuzzCampaign("lora", corpus: corpus, words: Self.safetensorsWords)
        let base = try Fixtures.path("containers/folder-fp16")
        let folder = try TemporaryFolder()
        Self.check(campaign, 50, share: 0.02) { input in
            let path = try folder.write("lora.safetensors", Array(input.bytes))
            let unet = try ModelSource(path: base, loras: [(path, 1)]).component(.unet)
            for (name, shape) in unet.weights.shapes { _ = try unet.weights.take(name, shape: shape) }
        }
    }
}
