import Checkpoints
import Experiments
import Files
import Foundation
import Ops
import StableDiffusion
import Tensors
import TestSupport
import Testing

@Suite struct ModelIdentityTests {
    private let engine: Engine
    private let folder: TemporaryFolder

    init() throws {
        engine = try Engine(threads: 1)
        folder = try TemporaryFolder()
    }

    private func identity(_ reference: ModelReference, cache: String? = nil) throws -> ModelIdentity {
        try ModelSession(reference, engine: engine, checksums: ChecksumCache(path: cache)).identity()
    }

    /// A copy of the embedded model, as files that may be changed.
    private func copy(_ name: String) throws -> String {
        let path = folder.file(name)
        try FileManager.default.copyItem(atPath: EmbeddedModel.model(), toPath: path)
        return path
    }

    private func flipBit(_ path: String, at offset: Int? = nil) throws {
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        bytes[offset ?? bytes.count - 1] ^= 1
        try bytes.write(to: URL(fileURLWithPath: path))
    }

    @Test func aCopyElsewhereIsTheSameModel() throws {
        let embedded = try identity(ModelReference(EmbeddedModel.name))
        let other = try identity(ModelReference("copy", base: FileSystem.parent(copy("copy"))))
        #expect(other == embedded && other.fingerprint == embedded.fingerprint)
        #expect(embedded.json.object?.keys == ["unet", "vae", "text_encoder", "tokenizer", "scheduler"])
    }

    @Test(arguments: [
        ("unet/diffusion_pytorch_model.safetensors", "unet"), ("vae/diffusion_pytorch_model.safetensors", "vae"),
        ("text_encoder/model.safetensors", "text_encoder"), ("tokenizer/merges.txt", "tokenizer"),
    ])
    func aChangedBitIsNamedByItsPart(file: String, part: String) throws {
        let path = try copy(part)
        let before = try identity(ModelReference(path), cache: folder.file("cache.json"))
        #expect(try identity(ModelReference(path), cache: folder.file("cache.json")) == before)
        try flipBit("\(path)/\(file)")
        let after = try identity(ModelReference(path), cache: folder.file("cache.json"))
        #expect(after.changes(from: before) == [part])
        #expect(ModelIdentity(json: after.json) == after)
    }

    /// A single file once had the identity of nothing at all.
    @Test func aSingleFileIsToldByItsContents() throws {
        let paths = ["a", "b"].map { folder.file("\($0).safetensors") }
        for (path, factor) in zip(paths, [Float(1), 0.5]) { try SingleFileModel.write(path, factor: factor) }
        let cache = folder.file("cache.json")
        let identities = try paths.map { try identity(ModelReference($0), cache: cache) }
        #expect(identities[1].changes(from: identities[0]) == ["text_encoder", "unet", "vae"])
        try flipBit(paths[0])
        let changed = try identity(ModelReference(paths[0]), cache: cache)
        #expect(changed.changes(from: identities[0]).count == 1)
        // A file that is put in another's place, with its time.
        let time = try FileManager.default.attributesOfItem(atPath: paths[1])[.modificationDate] as? Date
        try FileManager.default.removeItem(atPath: paths[0])
        try FileManager.default.moveItem(atPath: paths[1], toPath: paths[0])
        try FileManager.default.setAttributes([.modificationDate: try #require(time)], ofItemAtPath: paths[0])
        #expect(try identity(ModelReference(paths[0]), cache: cache) == identities[1])
    }

    @Test func vaeAndLoRAsAreParts() throws {
        let path = try copy("model")
        let plain = try identity(ModelReference(path))
        let vae = folder.file("vae")
        try FileManager.default.copyItem(atPath: path + "/vae", toPath: vae)
        #expect(try identity(ModelReference(path, vae: vae)) == plain)
        try flipBit(vae + "/diffusion_pytorch_model.safetensors")
        #expect(try identity(ModelReference(path, vae: vae)).changes(from: plain) == ["vae"])
        let lora = folder.file("style.safetensors")
        try writeLoRA(lora, seed: 1)
        let merged = try identity(ModelReference(path, loras: [.init(path: lora)]))
        #expect(merged.changes(from: plain) == ["lora:style.safetensors"])
        let half = try identity(ModelReference(path, loras: [.init(path: lora, scale: 0.5)]))
        #expect(half.changes(from: merged) == ["lora:style.safetensors"])
        try writeLoRA(lora, seed: 2)
        let other = try identity(ModelReference(path, loras: [.init(path: lora)]))
        #expect(other.changes(from: merged) == ["lora:style.safetensors"])
    }

    @Test func anAutoencoderIsToldByItsContents() throws {
        let root = folder.file("saes")
        try FileManager.default.copyItem(atPath: EmbeddedModel.autoencoders(), toPath: root)
        func identity(_ path: String) throws -> JSON {
            try ModelSession(ModelReference("embedded", autoencoders: path), engine: engine)
                .autoencoderIdentity(EmbeddedModel.layer)
        }
        let before = try identity(root)
        #expect(try identity("embedded") == before)
        #expect(try identity("\(root)/unet.\(EmbeddedModel.layer)") == before)
        try flipBit("\(root)/unet.\(EmbeddedModel.layer)/sae.safetensors")
        #expect(try identity(root) != before)
    }

    private func writeLoRA(_ path: String, seed: UInt64) throws {
        let name = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_"
        let width = try ModelSession(ModelReference("embedded"), engine: engine).folder.unetConfig.widths[0]
        let random = CounterRandom(seed: seed, purpose: .initialization)
        try SafetensorsWriter.write(
            [("\(name)A.weight", random.normals([2, width])), ("\(name)B.weight", random.normals([width, 2]))], to: path,
            overwrite: true)
    }
}

@Suite struct ModelSessionTests {
    private let engine: Engine

    init() throws { engine = try Engine(threads: 1) }

    private func session(memory: Int? = nil) throws -> ModelSession {
        try ModelSession(
            ModelReference("embedded", autoencoders: "embedded"), engine: engine, memoryBudget: memory)
    }

    @Test func aDreamLoadsTheUNetUpToItsLayerOnly() throws {
        let session = try session()
        let (near, far) = (try session.hook("down_blocks.0.attentions.0"), try session.hook(EmbeddedModel.layer))
        let size = LatentSize(batch: 1, height: 16, width: 16)
        #expect(try !session.dreamer(near, size: size).unet.reaches(far))
        let whole = try session.dreamer(far, size: size).unet
        #expect(whole.reaches(far))
        #expect(try session.dreamer(near, size: size).unet === whole, "what is there is used again")
    }

    @Test func aBudgetReplacesTheGeneratorsNetworkAndLimitsTheEngine() throws {
        let session = try session(memory: 300_000_000)
        let hook = try session.hook("down_blocks.0.attentions.0")
        let last = try session.hook(EmbeddedModel.layer)
        #expect(try session.generator().unet.reaches(last))
        let dreamer = try session.dreamer(hook, size: LatentSize(batch: 1, height: 16, width: 16))
        #expect(!dreamer.unet.reaches(last))
    }

    @Test func tooLittleMemoryIsOneTypedError() throws {
        let session = try session(memory: 1_000_000)
        let hook = try session.hook(EmbeddedModel.layer)
        let size = LatentSize(batch: 1, height: 16, width: 16)
        let shortage = #expect(throws: MemoryShortage.self) { try session.dreamer(hook, size: size) }
        let enough = try #require(shortage).needed
        #expect(shortage?.description.contains("\n") == false)
        _ = try self.session(memory: enough).dreamer(hook, size: size)
    }

    @Test func textsAreEncodedOnce() throws {
        let session = try session()
        let source = TextSource(prompt: "a red star")
        let first = try session.text(source).context
        #expect(try session.text(source).context.storage === first.storage)
        #expect(try session.text(TextSource()).context.array != first.array)
    }

    @Test func timeStepsOutsideTheScheduleAreRefused() throws {
        let session = try session()
        try session.check(timestep: 0)
        try session.check(timestep: 998.5)
        for timestep in [-1.0, 1000, .nan] {
            #expect(throws: SimpleFailure.self) { try session.check(timestep: timestep) }
        }
    }
}
