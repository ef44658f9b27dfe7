import Checkpoints
import Files
import Foundation
import TestSupport
import Tensors
import Testing

/// What `--steer` and `--capture` understand.
@Suite struct HookOptionTests {
    private static let layer = "up_blocks.2.attentions.1"

    private static let sae = ["--sae", "embedded"]

    private static func run(_ arguments: [String], _ folder: TemporaryFolder, _ name: String) throws -> Program.Result {
        try Program.run(
            ["generate", "--model", "embedded", "--steps", "2", "--sampler", "ddim", "--save-latent",
                "--output", folder.file(name)] + arguments + (arguments.contains { $0.contains("feature") } ? sae : []))
    }

    private static func latent(_ edit: String) throws -> [UInt8] {
        let folder = try TemporaryFolder()
        let result = try run(["--steer", edit], folder, "o")
        #expect(result.status == 0, "\(edit): \(result.errors)")
        return try folder.bytes("o/00000-0.safetensors")
    }

    @Test(arguments: [
        "", "l", "l:channel=1", "l:channel:3", "l:channel=x:3", "l:channel=-1:3", "l:neuron=1:3", "l:channel=1:loud",
        "l:channel=1:clamp=3", "l:vector=f:ablate", "l:feature=1:nan", "l:feature=1:2@", "l:feature=1:2@1-2-3",
        "l:feature=1:2@a-b", "l:feature=1:clamp=", "l:feature=1:boost=2",
    ]) func nonsenseIsUsage(text: String) throws {
        let folder = try TemporaryFolder()
        let result = try Self.run(["--steer", text], folder, "o")
        #expect(result.status == 2 && result.errors.contains("expected"), "\(result.errors)")
        #expect(try folder.contents.isEmpty)
    }

    @Test(arguments: ["", ":maps", "l:maps:maps", "l:everything", "l@x"]) func recordingsToo(text: String) throws {
        let folder = try TemporaryFolder()
        let result = try Self.run(["--capture", text], folder, "o")
        #expect(result.status == 2 && result.errors.contains("expected"), "\(result.errors)")
    }

    @Test func sayingItInAnotherWayIsTheSameEdit() throws {
        let plain = try Self.latent("\(Self.layer):channel=5:0")
        for (one, other) in [
            ("channel=5:12.5@1-501", "channel=5:1.25e1@501-1"), ("channel=5:12.5@501", "channel=5:12.5@501-501"),
            ("feature=7:ablate", "feature=7:scale=0"), ("feature=7:clamp=-2", "feature=7:clamp=-2@0-999"),
        ] {
            let latent = try Self.latent("\(Self.layer):\(one)")
            #expect(try latent == Self.latent("\(Self.layer):\(other)"))
            #expect(latent != plain || one.contains("ablate"))
        }
    }

    @Test func aFileMayHaveColonsAndAtSigns() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("a:b@c.safetensors")
        try SafetensorsWriter.write([("any", Tensor([64], (0..<64).map { $0 == 5 ? 1 : 0 }))], to: path)
        #expect(try Self.latent("\(Self.layer):vector=\(path):2@501") == Self.latent("\(Self.layer):channel=5:2@501"))
    }

    @Test func recordingsAreNamedByWhatTheyAre() throws {
        let folder = try TemporaryFolder()
        let result = try Self.run(
            ["--capture", "mid_block.attentions.0", "--capture", "\(Self.layer):maps:features@0-500"], folder, "o")
        #expect(result.status == 0, "\(result.errors)")
        let names = try SafetensorsFile(path: folder.file("o/00000-0.activations.safetensors")).names
        #expect(
            Set(names) == [
                "mid_block.attentions.0/channels/means", "mid_block.attentions.0/channels/means/timesteps",
                "\(Self.layer)/features/maps", "\(Self.layer)/features/maps/timesteps",
            ])
    }
}
