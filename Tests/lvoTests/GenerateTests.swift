import Checkpoints
import Files
import Foundation
import Pictures
import StableDiffusion
import Testing
import TestSupport

/// `generate` and `tokenize` on the small model that comes with the program.
@Suite struct GenerateTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../..").standardizedFileURL.path
    private static let model = root + "/Sources/Experiments/Resources/shapes"
    private static let layer = "up_blocks.2.attentions.1"

    private func generate(_ folder: TemporaryFolder, _ output: String, _ arguments: String...) throws -> Program.Result {
        try Program.run(
            ["generate", "--model", Self.model, "--steps", "3", "--output", folder.file(output)] + arguments)
    }

    /// A picture carries what repeats it, to the byte, and other options override that.
    @Test func aPictureIsRepeatedFromItsOwnParameters() throws {
        let folder = try TemporaryFolder()
        let first = try generate(
            folder, "a", "--prompt", "a small red star, \"left\"", "a ring", "--negative-prompt", "dots", "--sampler",
            "euler_a", "--cfg-scale", "3", "--seed", "7", "--batch-count", "2", "--save-latent", "-W", "48")
        #expect(first.status == 0, "\(first.errors)")
        let names = ["00000-7", "00001-8", "00002-7", "00003-8"]
        #expect(first.output == names.map { folder.file("a/\($0).png\n") }.joined())
        for (index, name) in names.enumerated() {
            let picture = folder.file("a/\(name).png")
            let again = try Program.run(
                "generate", "--model", Self.model, "--params-from", picture, "--output", folder.file("b\(index)"))
            #expect(again.status == 0, "\(again.errors)")
            let repeated = "b\(index)/00000-\(7 + index % 2).png"
            #expect(try folder.bytes(repeated) == folder.bytes("a/\(name).png"))
        }
        let bitmap = try PNG.read(folder.file("a/00000-7.png")).bitmap
        #expect(bitmap.width == 48 && bitmap.height == 64)
        let latent = try SafetensorsFile(path: folder.file("a/00000-7.safetensors")).weight("latent")
        #expect(latent.shape == [1, 4, 16, 12])
    }

    /// A picture of a web interface: samplers that are not here can be replaced, and what cannot be repeated is said.
    @Test func aWebInterfacesPicture() throws {
        let folder = try TemporaryFolder()
        let text = """
            a red circle, (large:1.2)
            Steps: 2, Sampler: DPM++ SDE Karras, CFG scale: 2, Seed: 5, Size: 64x64, Denoising strength: 0.5
            """
        let picture = folder.file("web.png")
        try PNG.write(
            Bitmap(width: 2, height: 2, pixels: [UInt8](repeating: 9, count: 12)), text: [PNGText("parameters", text)],
            to: picture)
        let refused = try generate(folder, "a", "--params-from", picture)
        #expect(refused.status == 65 && refused.errors.contains("'DPM++ SDE Karras' is not implemented"))
        let made = try generate(folder, "b", "--params-from", picture, "--sampler", "ddim")
        #expect(made.status == 0 && made.output == folder.file("b/00000-5.png\n"), "\(made.errors)")
        #expect(made.errors.contains("emphasis") && made.errors.contains("--init-image"))
    }

    @Test func promptsFromAFileAndNothingIsOverwritten() throws {
        let folder = try TemporaryFolder()
        let lines = "{\"text\": \"a\", \"colour\": \"red\"}\n{\"text\": \"b\"}\n"
        let arguments = ["--prompts", try folder.write("p.jsonl", Array(lines.utf8)), "--cfg-scale", "1"]
        func run(_ extra: String...) throws -> Program.Result {
            try Program.run(
                ["generate", "--model", Self.model, "--steps", "2", "--output", folder.file("o")] + arguments + extra)
        }
        #expect(try run().output.split(separator: "\n").count == 2)
        let second = try run()
        #expect(second.status == 73 && second.output.isEmpty, "it stops before the first picture")
        #expect(second.errors.contains("--overwrite"))
        #expect(try run("--overwrite").status == 0)
    }

    @Test func imageToImageStaysNearItsPicture() throws {
        let folder = try TemporaryFolder()
        func draw(_ output: String, _ arguments: String...) throws {
            let result = try Program.run(
                ["generate", "--model", Self.model, "--prompt", "a red square", "--steps", "10", "--sampler", "ddim",
                    "--output", folder.file(output)] + arguments)
            #expect(result.status == 0, "\(result.errors)")
        }
        try draw("a", "--seed", "1")
        let start = folder.file("a/00000-1.png")
        try draw("little", "--seed", "2", "--init-image", start, "--strength", "0.2")
        try draw("all", "--seed", "2", "--init-image", start, "--strength", "1")
        func distance(_ name: String) throws -> Double {
            let a = try PNG.read(start).bitmap.pixels
            let b = try PNG.read(folder.file("\(name)/00000-2.png")).bitmap.pixels
            return zip(a, b).reduce(0.0) { $0 + abs(Double($1.0) - Double($1.1)) } / Double(a.count)
        }
        #expect(try distance("little") < distance("all") / 2)
    }

    @Test func steeringAndCapture() throws {
        let folder = try TemporaryFolder()
        let sampler = ["--sampler", "ddim", "--seed", "4"]
        let plain = try Program.run(
            ["generate", "--model", Self.model, "--steps", "4", "--output", folder.file("plain"), "--capture",
                "\(Self.layer):maps@0-500", "--capture", "mid_block.attentions.0"] + sampler)
        #expect(plain.status == 0, "\(plain.errors)")
        let steered = try Program.run(
            ["generate", "--model", Self.model, "--steps", "4", "--output", folder.file("steered"), "--steer",
                "\(Self.layer):channel=5:9@0-500", "--capture", "\(Self.layer):maps@0-500"] + sampler)
        #expect(steered.status == 0, "\(steered.errors)")
        func recorded(_ name: String) throws -> SafetensorsFile {
            try SafetensorsFile(path: folder.file(name + "/00000-4.activations.safetensors"))
        }
        let (a, b) = (try recorded("plain"), try recorded("steered"))
        let name = "\(Self.layer)/channels/maps"
        #expect(try a.weight(name).shape == [2, 64, 64])
        #expect(try a.weight(name + "/timesteps").floats() == [251, 1])
        #expect(try a.weight("mid_block.attentions.0/channels/means").shape == [4, 96])
        let (before, after) = (try a.weight(name).floats(), try b.weight(name).floats())
        #expect(before[..<4096] == after[..<4096], "steering acts from time step 500 on, after what it records")
        #expect(before[4096...] != after[4096...])
        #expect(try folder.bytes("plain/00000-4.png") != folder.bytes("steered/00000-4.png"))
    }

    private static let mistakes: [(arguments: [String], status: Int32, message: String)] = [
        (["--sampler", "best"], 2, "euler_a"), (["-W", "63"], 2, "multiples of 4"),
        (["--steps", "0"], 2, "0 steps"), (["--seed", "-2"], 2, "'-2'"), (["--strength", "0.5"], 2, "--init-image"),
        (["--steer", "nowhere:channel=1:2"], 2, "nowhere"), (["--steer", "conv_in:channel=99:2"], 2, "0 to 31"),
        (["--steer", "conv_in:feature=1:2"], 2, "--sae"), (["--steer", "conv_in"], 2, "expected LAYER"),
        (["--capture", "conv_in", "--capture", "conv_in@1"], 2, "twice"),
        (["--params-from", "/nowhere.png"], 66, "/nowhere.png"), (["--prompts", "/nowhere.txt"], 66, "/nowhere.txt"),
        (["--init-image", "/nowhere.png"], 66, "/nowhere.png"),
        (["--init-image", "/nowhere.png", "--strength", "nan"], 2, "from 0 to 1"),
        (["--prompt", "a", "--prompts", "b"], 2, "exclude each other"), (["--batch-count", "0"], 2, "at least 1"),
    ]

    @Test(arguments: mistakes) func mistakesAreExplained(arguments: [String], status: Int32, message: String) throws {
        let folder = try TemporaryFolder()
        let result = try Program.run(
            ["generate", "--model", Self.model, "--output", folder.file("o")] + arguments)
        #expect(result.status == status, "\(result.errors)")
        #expect(result.errors.contains(message), "\(result.errors)")
    }

    @Test func tokenizing() throws {
        let result = try Program.run("tokenize", "--model", Self.model, "A red   circle")
        #expect(result.status == 0)
        #expect(result.output.split(separator: "\n").map { $0.split(separator: " ").last } == [
            "<|startoftext|>", "a</w>", "red</w>", "circle</w>", "<|endoftext|>", "tokens",
        ])
        let embedded = try Program.run("tokenize", "--model", "embedded", "A red   circle")
        #expect(embedded.output == result.output)
        let json = try JSON.parse(try Program.run("tokenize", "--json", "--model", Self.model, "a").output)
        #expect(json["ids"]?.array?.count == 77 && json["full_length"] == 3)
    }
}
