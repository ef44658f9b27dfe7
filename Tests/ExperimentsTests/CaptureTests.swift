import Checkpoints
import Experiments
import Files
import Foundation
import Ops
import SparseAutoencoders
import StableDiffusion
import TestSupport
import Testing

/// Activations of the embedded model.
@Suite struct CaptureTests {
    private static let layer = "up_blocks.2.attentions.1"

    private static func request(_ layers: [String] = [CaptureTests.layer], limit: Int? = 3) -> CaptureRequest {
        var request = CaptureRequest(layers: layers, prompts: ["a red star", "a blue ring"].map { Prompt(text: $0) })
        (request.parameters.steps, request.parameters.sampler, request.limit) = (2, .ddim, limit)
        return request
    }

    private static func session(_ model: String = EmbeddedModel.name, vae: String? = nil) throws -> ModelSession {
        try ModelSession(ModelReference(model, vae: vae), engine: Engine(threads: 1))
    }

    private static func failure(_ body: () throws -> Void) -> (kind: FailureKind?, text: String) {
        do {
            try body()
            return (nil, "")
        } catch { return ((error as? any Failure)?.kind, "\(error)") }
    }

    /// A copy of the embedded model of which one bit of a component's weights is another.
    private static func changedModel(_ component: ModelComponent, in folder: TemporaryFolder) throws -> String {
        let copy = folder.file("changed")
        try FileManager.default.copyItem(atPath: EmbeddedModel.model(), toPath: copy)
        let names = try FileManager.default.contentsOfDirectory(atPath: "\(copy)/\(component.rawValue)")
        let file = try #require(names.first { $0.hasSuffix(".safetensors") })
        let url = URL(fileURLWithPath: "\(copy)/\(component.rawValue)/\(file)")
        var bytes = try Data(contentsOf: url)
        bytes[bytes.count - 2] ^= 1
        try bytes.write(to: url)
        return copy
    }

    @Test func sizesAreKnownBeforeAnythingIsDrawn() throws {
        let capture = try Capture(Self.session(), Self.request(["mid_block.attentions.0", Self.layer], limit: nil))
        #expect(capture.sizes.map(\.layer) == ["mid_block.attentions.0", Self.layer])
        let size = capture.sizes[1]
        #expect(size.pictures == 2 && size.steps == 2)
        #expect(size.bytes == 2 * 2 * size.positions * (size.channels * 2 + 8))
    }

    @Test func stoppedItGoesOnToTheSameStores() throws {
        let folder = try TemporaryFolder()
        func run(_ name: String, calls: Int) throws {
            var asked = 0
            let capture = try Capture(Self.session(), Self.request(), picturesPerFile: 1) {
                asked += 1
                if asked > calls { throw Enough() }
            }
            #expect(try capture.run(into: folder.file(name)) == ["\(folder.file(name))/\(Self.layer)"])
        }
        try run("whole", calls: 100)
        #expect(throws: Enough.self) { try run("parts", calls: 3) }
        let failure = Self.failure { _ = try ActivationStore(folder: folder.file("parts/\(Self.layer)")) }
        #expect(failure.text.contains("1 of 3 files"), "\(failure.text)")
        try run("parts", calls: 4)
        for shard in 0..<3 {
            let name = String(format: "%@/shard-%05d.safetensors", Self.layer, shard)
            #expect(try folder.bytes("whole/\(name)") == folder.bytes("parts/\(name)"))
        }
    }

    @Test func nothingToRecordIsUsage() throws {
        let session = try Self.session()
        var unguided = Self.request()
        (unguided.parameters.guidanceScale, unguided.half) = (1, .unconditional)
        for (request, words) in [
            (Self.request([]), "no layers"), (Self.request([Self.layer, Self.layer]), "twice"),
            (Self.request(["nowhere"]), "nowhere"), (unguided, "only the conditional half"),
            (CaptureRequest(layers: [Self.layer], prompts: []), "no prompts"), (Self.request(limit: 0), "at least 1"),
        ] {
            let failure = Self.failure { _ = try Capture(session, request) }
            #expect(failure.kind == .usage && failure.text.contains(words), "\(failure)")
        }
        #expect(Self.failure { _ = try Capture(session, Self.request(), picturesPerFile: 0) }.kind == .usage)
    }

    /// The text encoder and a second VAE do not reach the U-Net's first and last convolution.
    @Test(arguments: [ModelComponent.textEncoder, .unet, .vae]) func aStoreIsOfOneModel(component: ModelComponent) throws {
        let folder = try TemporaryFolder()
        let store = folder.file("store")
        _ = try Capture(Self.session(), Self.request(), picturesPerFile: 3).run(into: store)
        let changed = try Self.session(Self.changedModel(component, in: folder))
        let failure = Self.failure { _ = try Capture(changed, Self.request(), picturesPerFile: 3).run(into: store) }
        #expect(failure.kind == .usage && failure.text.contains("another model (\(component.rawValue) differ"), "\(failure)")
    }

    @Test func aTrainingIsOfOneModel() throws {
        let (folder, engine) = (try TemporaryFolder(), try Engine(threads: 1))
        var settings = AutoencoderSettings()
        (settings.latents, settings.k) = (128, 4)
        (settings.training.batchTokens, settings.training.steps) = (64, 3)
        func train(_ session: ModelSession) throws {
            var steps = 0
            let training = AutoencoderTraining(
                settings, folder: folder.file("runs"), engine: engine,
                check: {
                    steps += 1
                    if steps > 1 { throw Enough() }
                })
            try training.run(GeneratedActivations(session, Self.request(limit: nil)), buffer: 256)
        }
        #expect(throws: Enough.self) { try train(Self.session()) }
        let changed = try Self.session(Self.changedModel(.textEncoder, in: folder))
        let failure = Self.failure { try train(changed) }
        #expect(failure.kind == .usage && failure.text.contains("text_encoder differ"), "\(failure)")
        #expect(throws: Enough.self) { try train(Self.session()) }
    }
}
