import Checkpoints
import Experiments
import Files
import Foundation
import Ops
import StableDiffusion
import Tensors
import TestSupport
import Testing

/// Networks whose filters come from the cache compute the same bytes as those that were packed now.
@Suite struct PackedModelTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private var store: PackedStore { PackedStore(folder: folder.file("packed"), limit: .max) }

    private func session(
        _ reference: ModelReference = ModelReference(EmbeddedModel.name), isKept: Bool, precision: Precision = .float32
    ) throws -> ModelSession {
        try ModelSession(
            reference, engine: Engine(instructionSet: "baseline", threads: 2, precision: precision),
            packs: isKept ? store : nil, smallestPacked: 0)
    }

    private static var latents: Tensor { Tensor([1, 4, 8, 8], (0..<256).map { Float($0 % 13) / 7 - 1 }) }

    /// The text encoder's, the U-Net's and both of the VAE's results.
    private func results(_ session: ModelSession) throws -> [[Float]] {
        let text = try session.text(TextSource(prompt: "a red star")).context
        let unet = try session.unet(upTo: nil)
        let latents = Self.latents
        let noise = unet.predict(latents, time: unet.prepare(timestep: 501), text: unet.prepare(context: text))
        let picture = try session.decoder().decode(latents)
        return [text.array, noise.array, picture.array, try session.pictureEncoder().encode(picture).latent().array]
    }

    @Test(arguments: Precision.allCases) func theSameBytesComeFromTheCache(precision: Precision) throws {
        let expected = try results(session(isKept: false, precision: precision))
        #expect(try results(session(isKept: true, precision: precision)) == expected)
        let names = store.entries.compactMap { $0.about?["network"]?.string }
        #expect(Set(names) == ["unet", "text encoder", "vae decoder", "vae encoder"] && names.count == 4)
        #expect(try results(session(isKept: true, precision: precision)) == expected)
        #expect(store.entries.count == 4)
    }

    /// A part of the U-Net reads from the file of the whole.
    @Test func aPartOfTheUNetIsReadFromTheWhole() throws {
        let sessions = try [session(isKept: true), session(isKept: false)]
        let parts = try sessions.map { try $0.unet(upTo: $0.hook("mid_block.attentions.0")) }
        #expect(store.entries.count == 1)
        _ = try session(isKept: true).unet(upTo: nil)
        let activations = try zip(sessions, parts).map { session, unet in
            unet.activation(
                Self.latents, at: try session.hook("mid_block.attentions.0"), time: unet.prepare(timestep: 7),
                text: unet.prepare(context: try session.text(TextSource()).context)
            ).array
        }
        #expect(activations[0] == activations[1])
    }

    /// A changed bit of a filter costs packing it, and the file is made anew by the next process.
    @Test func aDamagedFilterIsPackedAgain() throws {
        let expected = try results(session(isKept: true))
        let before = try store.entries.map { ($0.path, try Data(contentsOf: URL(fileURLWithPath: $0.path))) }
        for (path, data) in before {
            var damaged = data
            damaged[5] ^= 1
            try damaged.write(to: URL(fileURLWithPath: path))
        }
        #expect(try results(session(isKept: true)) == expected)
        #expect(store.entries.isEmpty)
        #expect(try results(session(isKept: true)) == expected)
        for (path, data) in before { #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == data) }
    }

    @Test func otherWeightsHaveFilesOfTheirOwn() throws {
        _ = try session(isKept: true).unet(upTo: nil)
        let path = folder.file("copy")
        try FileManager.default.copyItem(atPath: EmbeddedModel.model(), toPath: path)
        _ = try session(ModelReference(path), isKept: true).unet(upTo: nil)
        #expect(store.entries.count == 1, "the same weights elsewhere")
        let file = path + "/unet/diffusion_pytorch_model.safetensors"
        var bytes = try Data(contentsOf: URL(fileURLWithPath: file))
        bytes[bytes.count - 8] ^= 1
        try bytes.write(to: URL(fileURLWithPath: file))
        _ = try session(ModelReference(path), isKept: true).unet(upTo: nil)
        #expect(store.entries.count == 2)
    }

    /// Models that load fast as they are leave nothing.
    @Test func smallModelsAreNotKept() throws {
        let session = try ModelSession(
            ModelReference(EmbeddedModel.name), engine: Engine(threads: 1), packs: store)
        _ = try session.unet(upTo: nil)
        #expect(store.entries.isEmpty)
    }
}
