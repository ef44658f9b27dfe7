import Checkpoints
import Files
import Foundation
import Testing
import TestSupport

/// Commands on one small model in every container that is read; the files are those of `CheckpointsTests`.
@Suite struct ContainerCommandTests {
    private static func fixture(_ name: String) throws -> String {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let path = tests.appendingPathComponent("CheckpointsTests/Fixtures/containers/\(name)").path
        try #require(FileManager.default.fileExists(atPath: path), "fixture \(name) is missing")
        return path
    }

    /// What the U-Net, with the text encoder's context for the empty prompt, and the VAE make of one latent.
    private static func results(_ model: String, _ folder: TemporaryFolder, options: [String] = []) throws -> [[UInt8]]
    {
        let name = UUID().uuidString
        let (probe, picture) = (folder.file(name + ".safetensors"), folder.file(name + ".png"))
        let probed = try Program.run(
            ["probe", "--model", model, "--layer", "up_blocks.1.attentions.0", "--timestep", "301", "--seed", "1"]
                + ["--channel", "1", "--gradient", "--eps", "--output", probe] + options)
        try #require(probed.status == 0, "\(probed.errors)")
        let latent = folder.file("latent.safetensors")
        if !FileManager.default.fileExists(atPath: latent) {
            let tensor = SyntheticWeights(name: "latent", shape: [1, 4, 8, 8]).tensor()
            try SafetensorsWriter.write([(name: "latent", tensor: tensor)], to: latent)
        }
        let decoded = try Program.run(["decode", "--model", model, "--latent", latent, "--output", picture] + options)
        try #require(decoded.status == 0, "\(decoded.errors)")
        return [try folder.bytes(name + ".safetensors"), try folder.bytes(name + ".png")]
    }

    @Test func everyContainerGivesTheSameBytes() throws {
        let folder = try TemporaryFolder()
        let expected = try Self.results(Self.fixture("folder-fp16"), folder)
        for name in [
            "folder-fp32", "folder-sharded", "folder-bin", "folder-old-vae", "ldm-fp16-ema.safetensors",
            "ldm-fp32.safetensors", "ldm-pickle.ckpt", "ldm-legacy.ckpt",
        ] {
            #expect(try Self.results(Self.fixture(name), folder) == expected, "\(name)")
        }
        let converted = folder.file("converted")
        for ending in ["ckpt", "json"] {
            try FileManager.default.copyItem(
                atPath: Self.fixture("ldm-pickle." + ending), toPath: folder.file("single." + ending))
        }
        try Self.writeTokenizer(in: folder.path)
        let conversion = try Program.run("convert", folder.file("single.ckpt"), "--output", converted)
        #expect(conversion.status == 0, "\(conversion.errors)")
        #expect(try Self.results(converted, folder) == expected)
    }

    /// `convert` refuses a model that would have no tokenizer. This one's start and end are those of the small models.
    private static func writeTokenizer(in folder: String) throws {
        let shapes = PeopleTests.model + "/tokenizer"
        let path = folder + "/tokenizer"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: shapes + "/merges.txt", toPath: path + "/merges.txt")
        let swapped = [18: 673, 19: 674, 673: 18, 674: 19]
        let vocabulary = try #require(try JSON.read(shapes + "/vocab.json").object).map { token, id in
            (token, JSON.integer(id.int.map { swapped[$0] ?? $0 } ?? -1))
        }
        try JSON(vocabulary).write(to: path + "/vocab.json", overwrite: false)
    }

    @Test func lorasAreMergedAndUnusedKeysReported() throws {
        let folder = try TemporaryFolder()
        let model = folder.file("model")
        try FileManager.default.copyItem(atPath: Self.fixture("folder-fp16"), toPath: model)
        try Self.writeTokenizer(in: model)
        let lora = try Self.fixture("lora/kohya.safetensors")
        let plain = try Self.results(model, folder)
        let merged = try Self.results(model, folder, options: ["--lora", lora + ":0.5", "--allow-unused"])
        #expect(merged[0] != plain[0])
        #expect(merged[1] == plain[1])
        let baked = folder.file("baked")
        let result = try Program.run(
            "convert", model, "--lora", lora + ":0.5", "--allow-unused", "--dtype", "f32", "--output", baked)
        #expect(result.status == 0)
        #expect(
            result.errors.contains("unused: \(lora): lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight"))
        #expect(try Self.results(baked, folder) == merged)
    }

    @Test func inspectDescribes() throws {
        let text = try Program.run("inspect", Self.fixture("ldm-pickle.ckpt"))
        #expect(text.status == 0 && text.output.contains("Stable Diffusion 1.x, PyTorch zip"))
        let old = try Program.run("inspect", Self.fixture("ldm-legacy.ckpt"))
        #expect(old.status == 0 && old.output.contains("Stable Diffusion 1.x, PyTorch pickle"))
        let json = try JSON.parse(Program.run("inspect", "--json", Self.fixture("folder-bin")).output)
        #expect(json["supported"] == true)
        #expect(json["parts"]?["vae"]?["complete"] == true)
    }

    @Test func refusalsAreOneLine() throws {
        let folder = try TemporaryFolder()
        for (file, words) in [("refused/malicious.ckpt", "unknown kind"), ("vae.ckpt", "a VAE alone")] {
            let result = try Program.run("convert", Self.fixture(file), "--output", folder.file("out"))
            #expect(
                result.status == 65 && result.errorLines.count == 1 && result.errors.contains(words), "\(result.errors)"
            )
        }
        let missing = try Program.run("inspect", folder.file("none.safetensors"))
        #expect(missing.status == 66 && missing.errorLines.count == 1)
    }
}
