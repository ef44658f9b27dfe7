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
            "sae", "capture", "--model", "embedded", "--layer", Self.layer, "--prompts", prompts,
            "--sampler-steps", "10", "--count", "4", "--shard", "2", "--store", "\(folder)/store")
        try #require(result.status == 0, "\(result.errors)")
        #expect(result.output.contains("0.00 GB"))
    }

    private func weights(_ folder: String) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(Self.layer)/unet.\(Self.layer)/sae.safetensors"))
    }

    /// Killed without warning over and over; whatever the moment, the end is the same, byte for byte.
    @Test func killedRunEndsTheSame() throws {
        let temporary = try TemporaryFolder()
        try capture(into: temporary.path)
        func arguments(_ output: String) -> [String] {
            ["sae", "train", "--activations", temporary.file("store"), "--output", output] + Self.settings
        }
        let whole = try Program.run(arguments(temporary.file("whole")))
        try #require(whole.status == 0, "\(whole.errors)")
        var kills = 0
        for attempt in 0..<200 {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: Program.path)
            process.arguments = arguments(temporary.file("killed"))
            process.standardError = FileHandle.nullDevice
            process.standardOutput = FileHandle.nullDevice
            try process.run()
            // A moment that differs from run to run, longer as the attempts go on, so that the run does end.
            Thread.sleep(forTimeInterval: 0.05 + 0.02 * Double(attempt) + Double.random(in: 0...0.05))
            if process.isRunning { kill(process.processIdentifier, SIGKILL) }
            process.waitUntilExit()
            if process.terminationReason == .exit && process.terminationStatus == 0 { break }
            kills += 1
        }
        #expect(kills > 0)
        #expect(try weights(temporary.file("whole")) == weights(temporary.file("killed")))
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

    @Test func convertsBothWays() throws {
        let temporary = try TemporaryFolder()
        try capture(into: temporary.path)
        let trained = try Program.run(
            ["sae", "train", "--activations", temporary.file("store"), "--output", temporary.file("runs")]
                + Self.settings + ["--steps", "1"])
        try #require(trained.status == 0, "\(trained.errors)")
        let folder = temporary.file("runs/\(Self.layer)/unet.\(Self.layer)")
        for (from, input, output) in [("published", folder, "lens"), ("saelens", temporary.file("lens"), "back")] {
            let result = try Program.run(
                "sae", "convert", "--from", from, "--input", input, "--output", temporary.file(output))
            try #require(result.status == 0, "\(result.errors)")
        }
        let original = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/sae.safetensors"))
        #expect(try Data(temporary.bytes("back/sae.safetensors")) == original)
    }
}
