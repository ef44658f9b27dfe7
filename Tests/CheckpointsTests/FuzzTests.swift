import Checkpoints
import Files
import Foundation
import StableDiffusion
import Tensors
import Testing
import TestSupport

/// Deterministic campaigns over every parser of this module; `tools/fuzz` makes them long.
@Suite(.serialized) struct FuzzTests {
    static func corpus(_ names: [String]) throws -> [[UInt8]] {
        try names.map { [UInt8](try Data(contentsOf: URL(fileURLWithPath: Fixtures.path($0)))) }
    }

    /// The fixtures of one folder below `fuzz`.
    static func corpus(folder: String) throws -> [[UInt8]] {
        try FuzzCampaign.corpus(folder: Fixtures.path("fuzz/" + folder))
    }

    static func weights(_ input: GuardedInput) throws -> [Weight] {
        try WeightFile(MappedFile(name: "fuzz", bytes: input.bytes, owner: input)).weights
    }

    static let jsonWords = [
        "\"\\ud83d\\ude00\"", "[[[[[[[[", "{\"a\":", "1e308", "-0.0", "null", "\\u0000", "\u{FEFF}",
    ]

    @Test func json() throws {
        let campaign = FuzzCampaign("json", corpus: try Self.corpus(folder: "json"), words: Self.jsonWords)
        campaign.check(4000) { input in
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
        campaign.check(4000) { input in
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
        campaign.check(4000) { input in
            for weight in try Self.weights(input) { _ = weight.floats() }
        }
    }

    @Test func torchFiles() throws {
        let corpus = try Self.corpus(["containers/lora/diffusers-old.bin", "containers/refused/complex.ckpt"])
        let campaign = FuzzCampaign(
            "torch", corpus: corpus, words: ["PK\u{1}\u{2}", "PK\u{3}\u{4}", "PK\u{5}\u{6}", "data.pkl"])
        campaign.check(4000) { input in
            for weight in try Self.weights(input) { _ = weight.floats() }
        }
    }

    @Test func pickles() throws {
        let corpus = try Self.corpus(folder: "pickle")
        let campaign = FuzzCampaign(
            "pickle", corpus: corpus,
            words: ["ctorch\nFloatStorage\n", "ctorch._utils\n_rebuild_tensor_v2\n", "(", "tR", "Q"])
        let data = [UInt8](repeating: 1, count: 64)
        campaign.check(
            4000,
            wrap: { ZipBytes.archive([("a/data.pkl", $0), ("a/data/0", data), ("a/data/1", data)]) }
        ) { input in
            for weight in try Self.weights(input) { _ = weight.floats() }
        }
    }

    @Test func legacyTorchFiles() throws {
        let campaign = FuzzCampaign(
            "legacy", corpus: try Self.corpus(folder: "legacy"),
            words: ["ctorch\nHalfStorage\n", "ctorch._utils\n_rebuild_tensor_v2\n", "(", "tR", "Q", "."])
        campaign.check(4000) { input in
            for weight in try Self.weights(input) { _ = weight.floats() }
        }
    }

    @Test func gguf() throws {
        let campaign = FuzzCampaign(
            "gguf", corpus: try Self.corpus(["kinds/blocks.gguf"]),
            words: ["GGUF", "general.alignment", "comfy.gguf.orig_shape.", "kernel", "\u{8}\u{0}\u{0}\u{0}"])
        campaign.check(4000) { input in
            for weight in try Self.weights(input) { _ = weight.floats() }
        }
    }

    /// Every instruction and the objects that stand beside weights.
    @Test func picklesOfEverything() throws {
        let campaign = FuzzCampaign(
            "objects", corpus: try Self.corpus(["kinds/zip.ckpt", "kinds/protocol4.ckpt", "kinds/old.ckpt"]),
            words: [
                "ccollections\nCounter\n", "ctorch\nfloat8_e5m2\n", "\u{8F}", "(i", "(o", "\u{92}", "tR", "Q", "g0\n", "d",
            ])
        campaign.check(4000) { input in
            for weight in try Self.weights(input) { _ = weight.floats() }
        }
    }

    /// Whole models: layouts read off damaged names and shapes.
    @Test func models() throws {
        let corpus = try Self.corpus(["containers/ldm-fp16-ema.safetensors"])
        let campaign = FuzzCampaign("model", corpus: corpus, words: Self.safetensorsWords)
        let folder = try TemporaryFolder()
        campaign.check(50, share: 0.02) { input in
            let path = try folder.write("model.safetensors", Array(input.bytes))
            _ = try Inspection(path: path).json.serialized()
            let source = try ModelSource(path: path)
            for component in ModelComponent.allCases { _ = try source.component(component) }
        }
    }

    @Test func loras() throws {
        let people = ["diffusers-header", "kohya-dora", "kohya-locon", "kohya-loha", "kohya-lokr", "kohya-ia3"]
        let corpus = try Self.corpus(
            ["containers/lora/kohya.safetensors"] + people.map { "people/lora/\($0).safetensors" })
        let campaign = FuzzCampaign("lora", corpus: corpus, words: Self.safetensorsWords)
        let base = try Fixtures.path("containers/folder-fp16")
        let folder = try TemporaryFolder()
        campaign.check(50, share: 0.02) { input in
            let path = try folder.write("lora.safetensors", Array(input.bytes))
            let unet = try ModelSource(path: base, loras: [(path, 1)]).component(.unet)
            for (name, shape) in unet.weights.shapes { _ = try unet.weights.take(name, shape: shape) }
        }
    }
}
