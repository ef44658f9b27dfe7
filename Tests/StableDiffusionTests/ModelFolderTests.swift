import Checkpoints
import Files
import Foundation
import Ops
import StableDiffusion
import Testing
import TestSupport

/// Model folders as users hand them over, whole and damaged.
@Suite struct ModelFolderTests {
    /// `unet/` of the golden `unet_c` with synthetic weights, in half precision.
    private func folder(
        _ scratch: TemporaryFolder, config changes: [String: JSON] = [:], drop: String? = nil
    ) throws -> String {
        let golden = try ModelGolden("unet_c")
        let config = try golden.config()
        let manifest = try UNetConfig(config).manifest
        try OutputFile.makeFolder(scratch.path + "/unet")
        try golden.config(changes).json.write(to: scratch.path + "/unet/config.json", overwrite: true)
        let tensors = manifest.tensors.filter { $0.name != drop }.map {
            (name: $0.name, tensor: SyntheticWeights(name: $0.name, shape: $0.shape).tensor())
        }
        try SafetensorsWriter.write(
            tensors, to: scratch.path + "/unet/diffusion_pytorch_model.safetensors", overwrite: true, dtype: .f16)
        return scratch.path
    }

    @Test func unetAloneIsEnough() throws {
        let scratch = try TemporaryFolder()
        let folder = try ModelFolder(folder(scratch))
        #expect(!folder.hasComponent(.vae) && folder.tokenizerFolder == nil)
        let fixture = try UNetFixture("unet_c")
        let unet = try folder.loadUNet(engine: fixture.engine)
        let eps = unet.predict(
            fixture.latent, time: unet.prepare(timestep: fixture.timestep),
            text: unet.prepare(context: fixture.context))
        let error = relativeError(eps, try fixture.golden.tensor("eps"))
        // Weights were rounded to half precision: 2⁻¹¹ each.
        #expect(error > 1e-6 && error < 3e-3)
        #expect(try folder.weightBytes() == 2 * fixture.config.manifest.parameterCount)
    }

    @Test func foldersThatAreNone() throws {
        let scratch = try TemporaryFolder()
        let missing = #expect(throws: FileFailure.self) { try ModelFolder(scratch.path + "/none") }
        #expect(missing?.kind == .missingInput)
        let empty = #expect(throws: SimpleFailure.self) { try ModelFolder(scratch.path) }
        #expect(empty?.kind == .missingInput && empty?.description.contains("unet/config.json") == true)
        try Data("text".utf8).write(to: URL(fileURLWithPath: scratch.path + "/file"))
        #expect(throws: FileFailure.self) { try ModelFolder(scratch.path + "/file") }
    }

    @Test func missingAndTruncatedWeights() throws {
        let scratch = try TemporaryFolder()
        let path = try folder(scratch, drop: "mid_block.resnets.0.conv1.weight")
        let engine = try Engine(threads: 1)
        let missing = #expect(throws: FileFailure.self) { try ModelFolder(path).loadUNet(engine: engine) }
        #expect(missing?.description.contains("mid_block.resnets.0.conv1.weight") == true)

        let file = path + "/unet/diffusion_pytorch_model.safetensors"
        let bytes = try Data(contentsOf: URL(fileURLWithPath: file))
        try bytes.prefix(bytes.count - 100).write(to: URL(fileURLWithPath: file))
        let truncated = #expect(throws: FileFailure.self) { try ModelFolder(path).loadUNet(engine: engine) }
        #expect(truncated?.kind == .badData && truncated?.description.contains(file) == true)

        try FileManager.default.removeItem(atPath: file)
        let absent = #expect(throws: FileFailure.self) { try ModelFolder(path).loadUNet(engine: engine) }
        #expect(absent?.kind == .missingInput)
    }

    @Test func misshapenTensorsAreNamed() throws {
        let scratch = try TemporaryFolder()
        let path = try folder(scratch, config: ["cross_attention_dim": 32])
        let error = #expect(throws: FileFailure.self) {
            try ModelFolder(path).loadUNet(engine: Engine(threads: 1))
        }
        #expect(error?.description.contains("attn2.to_k.weight: expected shape [32, 32], found [32, 24]") == true)
    }

    private static let refused: [(String, JSON)] = [
        ("num_attention_heads", 8), ("mid_block_type", "UNetMidBlock2D"), ("mid_block_type", "UNetMidBlock2DSimpleCrossAttn"),
        ("class_embed_type", "timestep"),
        ("addition_embed_type", "text"), ("encoder_hid_dim", 4), ("time_cond_proj_dim", 4),
        ("dual_cross_attention", true), ("only_cross_attention", true), ("resnet_time_scale_shift", "scale_shift"),
        ("transformer_layers_per_block", 2), ("down_block_types", ["AttnDownBlock2D", "DownBlock2D"]),
        ("act_fn", "mish"), ("attention_head_dim", 7),
    ]

    @Test(arguments: refused)
    func unsupportedConfigurationsAreRefusedByName(_ key: String, _ value: JSON) throws {
        let error = #expect(throws: FileFailure.self) {
            try UNetConfig(ModelGolden("unet_c").config([key: value]))
        }
        #expect(error?.description.contains(key) == true)
        #expect(error?.kind == .badData)
    }

    @Test func nullMeansTheDefault() throws {
        let plain = try UNetConfig(ModelGolden("unet_c").config())
        let changes: [String: JSON] = [
            "num_attention_heads": .null, "transformer_layers_per_block": 1,
            "resnet_out_scale_factor": 1.0, "norm_eps": .null,
        ]
        #expect(try UNetConfig(ModelGolden("unet_c").config(changes)) == plain)
    }

    @Test func sizesInPixels() throws {
        let scratch = try TemporaryFolder()
        let folder = try ModelFolder(folder(scratch))
        let size = try folder.latentSize(pixelWidth: 96, pixelHeight: nil)
        #expect(size == (height: 8, width: 12))
        #expect(throws: SimpleFailure.self) { try folder.latentSize(pixelWidth: 100, pixelHeight: nil) }
        #expect(throws: SimpleFailure.self) { try folder.latentSize(pixelWidth: -8, pixelHeight: nil) }
    }
}
