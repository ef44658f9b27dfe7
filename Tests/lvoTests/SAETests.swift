import Checkpoints
import Files
import Foundation
import TestSupport
import Testing

/// `lvo sae` from capture to evaluation, on the embedded model.
@Suite(.serialized) struct SAETests {
    static let layer = "up_blocks.2.attentions.1"
    static let settings = [
        "--kind", "batch_topk", "--latents", "256", "--k", "8", "--batch", "512", "--steps", "150", "--lr", "2e-3",
        "--dead-after", "4096", "--checkpoint-every", "5", "--seed", "3", "--progress-every", "0",
    ]

    private func capture(into folder: String) throws {
        let prompts = "\(folder)/prompts.txt"
        try "a large red circle on a blue background\na small green star on a white background\n"
            .write(toFile: prompts, atomically: true, encoding: .utf8)
        let result = try Program.run(
            "capture", "--model", "embedded", "--layer", Self.layer, "--prompts", prompts,
            "--sampler-steps", "10", "--count", "4", "--pictures-per-file", "2", "--store", "\(folder)/store")
        try #require(result.status == 0, "\(result.errors)")
        #expect(result.output.contains("0.4 MB"))
    }

    /// The second command finds the checksums of the first: it does not write the cache anew. A changed model is read again.
    @Test func weightsAreReadOnceForTheIdentity() throws {
        let folder = try TemporaryFolder()
        let (model, cache) = (folder.file("model"), folder.file("cache/checksums.json"))
        try FileManager.default.copyItem(atPath: PeopleTests.model, toPath: model)
        try "a star".write(toFile: folder.file("prompts.txt"), atomically: true, encoding: .utf8)
        func cacheAfterCapture() throws -> (file: UInt64, text: String) {
            let result = try Program.run(
                "capture", "--model", model, "--layer", Self.layer, "--prompts", folder.file("prompts.txt"), "--store",
                folder.file("store"), "--dry-run", environment: ["LVO_CACHE": folder.file("cache")])
            try #require(result.status == 0, "\(result.errors)")
            let number = try FileManager.default.attributesOfItem(atPath: cache)[.systemFileNumber] as? UInt64
            return (try #require(number), try String(contentsOfFile: cache, encoding: .utf8))
        }
        let (first, second) = (try cacheAfterCapture(), try cacheAfterCapture())
        #expect(first.file == second.file && first.text.contains("\(model)/unet"))
        let weights = model + "/unet/diffusion_pytorch_model.safetensors"
        try FileManager.default.setAttributes([.modificationDate: Date(timeIntervalSince1970: 1)], ofItemAtPath: weights)
        #expect(try cacheAfterCapture().text != first.text)
    }

    /// Starts a command over and over and kills it without warning, at any moment from its start on, until it ends by
    /// itself. Later moments become possible with every attempt, so that it does end.
    private func runKilling(_ arguments: [String]) throws -> Int {
        for kills in 0..<400 {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: Program.path)
            process.arguments = arguments
            process.environment = Program.environment
            process.standardError = FileHandle.nullDevice
            process.standardOutput = FileHandle.nullDevice
            try process.run()
            let moment = Date() + .random(in: 0...0.1 + 0.03 * Double(kills))
            while process.isRunning && Date() < moment { Thread.sleep(forTimeInterval: 0.001) }
            if process.isRunning { kill(process.processIdentifier, SIGKILL) }
            process.waitUntilExit()
            if process.terminationReason == .exit {
                try #require(process.terminationStatus == 0)
                return kills
            }
        }
        Issue.record("killed 400 times and not done")
        return 0
    }

    /// The autoencoder's files and every tensor of the checkpoint, byte for byte; the metrics but for the speed.
    private func expectSame(_ left: String, _ right: String) throws {
        for name in ["sae.safetensors", "cfg.json"] {
            let bytes = try [left, right].map { folder in
                let hook = "unet." + URL(fileURLWithPath: folder).lastPathComponent
                return try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(hook)/\(name)"))
            }
            #expect(bytes[0] == bytes[1], "\(right): \(name)")
        }
        let checkpoints = try [left, right].map { try SafetensorsFile(path: "\($0)/checkpoint.safetensors").weights }
        #expect(checkpoints[0].map(\.name) == checkpoints[1].map(\.name))
        for (a, b) in zip(checkpoints[0], checkpoints[1]) {
            #expect(a.bytes.elementsEqual(b.bytes), "\(right): \(a.name)")
        }
        let metrics = try [left, right].map { folder in
            try String(contentsOfFile: "\(folder)/metrics.csv", encoding: .utf8).split(separator: "\n")
                .map { $0.split(separator: ",").dropLast() }
        }
        #expect(metrics[0] == metrics[1] && metrics[0].count > 1)
    }

    /// Killed at any moment, of writing too, and two at a time: the store of one process.
    @Test func killedCapturesFillTheSameStore() throws {
        let temporary = try TemporaryFolder()
        try capture(into: temporary.path)
        func arguments(_ shard: String) -> [String] {
            [
                "capture", "--model", "embedded", "--layer", Self.layer, "--prompts", temporary.file("prompts.txt"),
                "--sampler-steps", "10", "--count", "4", "--pictures-per-file", "2", "--store", temporary.file("killed"),
                "--shard", shard,
            ]
        }
        for shard in ["1/2", "0/2", "0/1"] { _ = try runKilling(arguments(shard)) }
        #expect(try contents(temporary.file("killed")) == contents(temporary.file("store")))
    }

    /// Whatever the moments, the end is that of an uninterrupted run.
    @Test func killedRunEndsTheSame() throws {
        let temporary = try TemporaryFolder()
        try capture(into: temporary.path)
        func arguments(_ output: String) -> [String] {
            ["sae", "train", "--activations", temporary.file("store"), "--output", output] + Self.settings
        }
        let whole = try Program.run(arguments(temporary.file("whole")))
        try #require(whole.status == 0, "\(whole.errors)")
        #expect(try runKilling(arguments(temporary.file("killed"))) > 2)
        try expectSame(temporary.file("whole/\(Self.layer)"), temporary.file("killed/\(Self.layer)"))
    }

    /// The same for two layers fed by pictures that are drawn meanwhile, with separate runs beside them.
    @Test func killedRunFromPicturesEndsAsSeparateOnes() throws {
        let temporary = try TemporaryFolder()
        let prompts = temporary.file("prompts.txt")
        try "a blue ring\na red heart\n".write(toFile: prompts, atomically: true, encoding: .utf8)
        let layers = ["up_blocks.2.attentions.0", Self.layer]
        func arguments(_ layers: [String], _ output: String) -> [String] {
            ["sae", "train", "--model", "embedded", "--prompts", prompts, "--sampler-steps", "6", "--buffer", "1024",
             "--output", temporary.file(output), "--layer"] + layers + Self.settings + ["--steps", "40"]
        }
        for layer in layers {
            let alone = try Program.run(arguments([layer], "alone"))
            try #require(alone.status == 0, "\(alone.errors)")
        }
        #expect(try runKilling(arguments(layers, "killed")) > 2)
        for layer in layers { try expectSame(temporary.file("alone/\(layer)"), temporary.file("killed/\(layer)")) }
    }

    @Test func trainsFromPicturesAndEvaluates() throws {
        let temporary = try TemporaryFolder()
        try capture(into: temporary.path)
        let trained = try Program.run(
            ["sae", "train", "--model", "embedded", "--layer", Self.layer, "--prompts", temporary.file("prompts.txt"),
             "--sampler-steps", "10", "--buffer", "2048", "--output", temporary.file("runs")] + Self.settings)
        try #require(trained.status == 0, "\(trained.errors)")
        let run = temporary.file("runs/\(Self.layer)")
        for name in ["metrics.csv", "metrics.ndjson", "curves.svg", "checkpoint.safetensors"] {
            #expect(FileManager.default.fileExists(atPath: "\(run)/\(name)"), "\(name)")
        }
        let evaluated = try Program.run(
            "sae", "eval", "--sae", "\(run)/unet.\(Self.layer)", "--activations",
            temporary.file("store/\(Self.layer)"), "--model", "embedded", "--prompts", temporary.file("prompts.txt"),
            "--pictures", "1", "--sampler-steps", "5", "--output", temporary.file("eval"))
        try #require(evaluated.status == 0, "\(evaluated.errors)")
        #expect(evaluated.output.contains("FVU") && evaluated.output.contains("Loss recovered"))
        #expect(try temporary.bytes("eval/eval.html").count > 1000)
    }

    /// LVO_ISA makes bfloat16 possible on any CPU. A training in it says so, and selects what float32 selects.
    @Test func trainsAndEvaluatesInBFloat16() throws {
        let temporary = try TemporaryFolder()
        try capture(into: temporary.path)
        let folder = temporary.file("runs/\(Self.layer)/unet.\(Self.layer)")
        let trained = try Program.run(
            ["sae", "train", "--activations", temporary.file("store"), "--output", temporary.file("runs")]
                + Self.settings + ["--steps", "5", "--precision", "bf16"], environment: ["LVO_ISA": "baseline"])
        try #require(trained.status == 0, "\(trained.errors)")
        func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }
        #expect(try text("\(folder)/cfg.json").contains("\"precision\": \"bf16\""))
        #expect(try text(temporary.file("runs/\(Self.layer)/curves.svg")).contains("trained in bf16"))
        func evaluation(_ precision: String) throws -> String {
            let result = try Program.run(
                "sae", "eval", "--sae", folder, "--activations", temporary.file("store/\(Self.layer)"), "--precision",
                precision, "--output", temporary.file(precision), environment: ["LVO_ISA": "baseline"])
            try #require(result.status == 0, "\(result.errors)")
            return try text(temporary.file("\(precision)/eval.json"))
        }
        let (exact, rounded) = (try evaluation("f32"), try evaluation("bf16"))
        #expect(rounded.contains("\"precision\"") && !exact.contains("\"precision\""))
        let densities = try [exact, rounded].map { try JSON.parse($0)["per_feature"]?["density"]?.serialized() }
        #expect(densities[0] != nil && densities[0] == densities[1])
    }

    @Test func convertsBothWays() throws {
        let temporary = try TemporaryFolder()
        try capture(into: temporary.path)
        let trained = try Program.run(
            ["sae", "train", "--activations", temporary.file("store"), "--output", temporary.file("runs")]
                + Self.settings + ["--steps", "1"])
        try #require(trained.status == 0, "\(trained.errors)")
        let folder = temporary.file("runs/\(Self.layer)/unet.\(Self.layer)")
        for (to, input, output) in [("saelens", folder, "lens"), ("published", temporary.file("lens"), "back")] {
            let result = try Program.run(
                "sae", "convert", "--to", to, "--input", input, "--output", temporary.file(output))
            try #require(result.status == 0, "\(result.errors)")
        }
        let original = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/sae.safetensors"))
        #expect(try Data(temporary.bytes("back/sae.safetensors")) == original)
    }
}
