import Checkpoints
import Files
import Foundation
import StableDiffusion
import Tensors
import Testing
import TestSupport

/// Commands on a folder that holds only a small U-Net with synthetic weights.
@Suite struct ProbeTests {
    private static let config: JSON = [
        "block_out_channels": [16, 32], "layers_per_block": 1, "cross_attention_dim": 8, "attention_head_dim": 2,
        "norm_num_groups": 4, "sample_size": 8, "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    ]
    private static let layer = "up_blocks.1.attentions.0"

    private func model(_ folder: TemporaryFolder) throws -> String {
        let layout = try UNetConfig(ConfigFile(file: "config.json", json: Self.config))
        try OutputFile.makeFolder(folder.file("unet"))
        try Self.config.write(to: folder.file("unet/config.json"), overwrite: false)
        try SafetensorsWriter.write(
            layout.manifest.tensors.map {
                (name: $0.name, tensor: SyntheticWeights(name: $0.name, shape: $0.shape).tensor())
            }, to: folder.file("unet/diffusion_pytorch_model.safetensors"))
        try SafetensorsWriter.write(
            [("context", SyntheticWeights(name: "context", shape: [1, 5, 8]).tensor())],
            to: folder.file("context.safetensors"))
        return folder.path
    }

    @Test func writesActivationsObjectiveGradientAndOutput() throws {
        let folder = try TemporaryFolder()
        let model = try model(folder)
        func probe(_ name: String, _ threads: String) throws -> [UInt8] {
            let result = try Program.run(
                "probe", "--model", model, "--layer", "unet." + Self.layer, "--timestep", "12.5", "--seed", "1", "2",
                "--context", folder.file("context.safetensors"), "--channel", "3", "--gradient", "--eps",
                "--threads", threads, "--output", folder.file(name))
            #expect(result.status == 0, "\(result.errors)")
            return try folder.bytes(name)
        }
        let bytes = try probe("a.safetensors", "1")
        #expect(try probe("b.safetensors", "2") == bytes)

        // Named, an instruction set computes bfloat16 whether the CPU has it or not.
        let rounded = try Program.run(
            "probe", "--model", model, "--timestep", "12.5", "--seed", "1", "--eps", "--precision", "bf16",
            "--context", folder.file("context.safetensors"), "--output", folder.file("c.safetensors"),
            environment: ["LVO_ISA": "baseline"])
        #expect(rounded.status == 0, "\(rounded.errors)")
        #expect(try SafetensorsFile(path: folder.file("c.safetensors")).metadata["precision"] == "bf16")
        let file = try SafetensorsFile(path: folder.file("a.safetensors"))
        #expect(file.metadata["precision"] == nil)
        #expect(Set(file.names) == ["activations", "mean", "objective", "gradient", "eps"])
        #expect(try file.weight("activations").shape == [2, 64, 16])
        #expect(try file.weight("gradient").shape == [2, 4, 8, 8])
        #expect(try file.weight("eps").shape == [2, 4, 8, 8])
        let mean = try file.weight("mean").floats()
        let objective = try file.weight("objective").floats()
        #expect(objective.count == 1 && abs(objective[0] - (mean[3] + mean[16 + 3]) / 2) < 1e-6)
    }

    @Test func latentFilesAndTheirSizes() throws {
        let folder = try TemporaryFolder()
        let model = try model(folder)
        let latent = SyntheticWeights(name: "z", shape: [4, 8, 12]).tensor()
        try SafetensorsWriter.write([("anything", latent)], to: folder.file("z.safetensors"))
        let result = try Program.run(
            "probe", "--model", model, "--layer", Self.layer, "--timestep", "1", "--latent",
            folder.file("z.safetensors"), "--context", folder.file("context.safetensors"), "--output",
            folder.file("out.safetensors"))
        #expect(result.status == 0, "\(result.errors)")
        let file = try SafetensorsFile(path: folder.file("out.safetensors"))
        #expect(try file.weight("activations").shape == [1, 96, 16])
        #expect(Set(file.names) == ["activations", "mean"])
    }

    @Test func featureOfASparseAutoencoder() throws {
        let folder = try TemporaryFolder()
        let model = try model(folder)
        let (width, features, feature) = (16, 32, 5)
        let sae = folder.file("unet." + Self.layer)
        try OutputFile.makeFolder(sae)
        let cfg: JSON = [
            "expansion_factor": 2, "normalize_decoder": true, "num_latents": 0, "k": 4, "batch_topk": false,
            "sample_topk": false, "input_unit_norm": false, "multi_topk": false, "d_in": 16,
        ]
        try cfg.write(to: sae + "/cfg.json", overwrite: false)
        func weight(_ name: String, _ shape: [Int]) -> (name: String, tensor: Tensor) {
            (name, SyntheticWeights(name: name, shape: shape).tensor())
        }
        let tensors = [
            weight("encoder.weight", [features, width]), weight("encoder.bias", [features]),
            weight("W_dec", [features, width]), weight("b_dec", [width]),
        ]
        try SafetensorsWriter.write(tensors, to: sae + "/sae.safetensors")
        let result = try Program.run(
            "probe", "--model", model, "--layer", Self.layer, "--timestep", "3", "--seed", "1", "--context",
            folder.file("context.safetensors"), "--feature", "\(feature)", "--sae", folder.path, "--gradient",
            "--output", folder.file("out.safetensors"))
        #expect(result.status == 0, "\(result.errors)")
        let file = try SafetensorsFile(path: folder.file("out.safetensors"))
        let activations = try file.weight("activations").floats()
        let (encoder, bias, center) = (tensors[0].tensor.array, tensors[1].tensor.array, tensors[3].tensor.array)
        let rows = activations.count / width
        let expected = (0..<rows).reduce(0.0) { sum, row in
            let pre = (0..<width).reduce(Double(bias[feature])) {
                $0 + Double(encoder[feature * width + $1]) * Double(activations[row * width + $1] - center[$1])
            }
            return sum + max(pre, 0) / Double(rows)
        }
        let objective = try file.weight("objective").floats()
        #expect(objective.count == 1 && abs(Double(objective[0]) - expected) < 1e-5)
        let gradient = try file.weight("gradient").floats()
        #expect(gradient.contains { $0 != 0 } && gradient.allSatisfy(\.isFinite))
    }

    @Test func layersListsEveryHookPoint() throws {
        let folder = try TemporaryFolder()
        let result = try Program.run("layers", "--model", try model(folder), "--json")
        let lines = try result.output.split(separator: "\n").map { try JSON.parse(String($0)) }
        let layer = try #require(lines.first { $0["name"]?.string == Self.layer })
        #expect(layer["shape"] == [1, 64, 16])
        #expect(lines.last?["parameters"]?.int == (try UNetConfig(
            ConfigFile(file: "config.json", json: Self.config)).manifest.parameterCount))
    }

    /// One line each, and the exit code that tells what kind of mistake it was.
    @Test func mistakes() throws {
        let folder = try TemporaryFolder()
        let model = try model(folder)
        let output = folder.file("out.safetensors")
        let context = folder.file("context.safetensors")
        func probe(_ changes: [String: String?]) throws -> Program.Result {
            var options: [String: String?] = [
                "--model": model, "--layer": Self.layer, "--timestep": "1", "--seed": "1", "--context": context,
                "--output": output,
            ]
            for (key, value) in changes { options.updateValue(value, forKey: key) }
            let arguments = options.sorted { $0.key < $1.key }.flatMap { [$0.key] + ($0.value.map { [$0] } ?? []) }
            return try Program.run(["probe"] + arguments)
        }
        let cases: [(changes: [String: String?], status: Int32, words: String)] = [
            (["--model": "/no/such/folder"], 66, "no such folder"),
            (["--model": folder.file("unet")], 66, "unet/config.json"),
            (["--layer": "up_blocks.1.attention.0"], 2, "nearest: up_blocks.1.attentions.0"),
            (["--channel": "16"], 2, "channels 0 to 15"), (["--timestep": "1000"], 2, "0…999"),
            (["--timestep": "soon"], 2, "timestep"), (["--gradient": nil], 2, "--gradient needs"),
            (["--context": folder.file("none.safetensors")], 66, "none.safetensors"),
            (["--latent": context, "--seed": nil], 2, "seed"), (["--width": "12"], 2, "width 12"),
            (["--output": "/no/such/folder/x.safetensors"], 73, "/no/such/folder/x.safetensors"),
            (["--output": context], 73, "--overwrite"), (["--threads": "0"], 2, "--threads 0"),
            (["--channel": "1", "--gradient": nil, "--memory": "1M"], 2, "is not enough"),
            (["--wrong": nil], 2, "--wrong"),
        ]
        for (changes, status, words) in cases {
            let result = try probe(changes)
            #expect(result.status == status, "\(changes): \(result.errors)")
            #expect(result.errorLines.count == 1, "\(changes): \(result.errors)")
            #expect(result.errors.contains(words), "\(changes): \(result.errors)")
            #expect(result.output.isEmpty)
        }
    }

    @Test func environmentIsChecked() throws {
        let folder = try TemporaryFolder()
        let model = try model(folder)
        for (variable, value) in [("LVO_THREADS", "many"), ("LVO_ISA", "sse9")] {
            let result = try Program.run(
                "probe", "--model", model, "--eps", "--timestep", "1", "--seed", "1", "--context",
                folder.file("context.safetensors"), "--output", folder.file("x.safetensors"),
                environment: [variable: value])
            #expect(result.status == 2 && result.errors.contains(value), "\(result.errors)")
        }
        let report = try Program.run("--version", "-v")
        #expect(report.status == 0 && report.output.contains("instruction sets:") && report.output.contains("threads:"))
    }
}
