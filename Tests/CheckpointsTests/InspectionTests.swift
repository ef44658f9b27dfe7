import Checkpoints
import Files
import StableDiffusion
import Tensors
import Testing
import TestSupport

@Suite struct InspectionTests {
    @Test func describesASingleFile() throws {
        let inspection = try Inspection(path: ContainerTests.fixture("ldm-fp16-ema.safetensors"))
        #expect(inspection.family == .stableDiffusion1)
        #expect(inspection.isSupported)
        #expect(inspection.container == "safetensors")
        #expect(inspection.predictionType == "epsilon")
        #expect(inspection.parts.map(\.name) == ["unet", "vae", "text_encoder"])
        #expect(inspection.parts.allSatisfy { Array($0.dtypes.keys) == [.f16] })
        #expect(inspection.leftovers.contains("model_ema.decay"))
        #expect(inspection.json["parts"]?["unet"]?["complete"] == true)
        #expect(inspection.text.contains("Stable Diffusion 1.x, safetensors\n  prediction type: epsilon\n  unet: "))
    }

    @Test func describesAFolder() throws {
        let inspection = try Inspection(path: ContainerTests.fixture("folder-bin"))
        #expect(inspection.isSupported)
        #expect(inspection.container == "diffusers folder")
        #expect(inspection.predictionType == "epsilon")
    }

    @Test func tellsWhatIsMissingExtraAndMisshapen() throws {
        let folder = try TemporaryFolder()
        let whole = try SafetensorsFile(path: ContainerTests.fixture("ldm-fp16-ema.safetensors"))
        let missing = "model.diffusion_model.out.2.bias"
        var weights = whole.weights.filter { $0.name != missing }
        weights.append(Weight(name: "model.diffusion_model.surplus", tensor: .zeros([1])))
        let bent = "first_stage_model.quant_conv.bias"
        weights = weights.map { $0.name == bent ? Weight(name: bent, tensor: .zeros([3])) : $0 }
        let path = folder.file("broken.safetensors")
        try SafetensorsWriter.write(weights, metadata: whole.metadata, to: path)
        let inspection = try Inspection(path: path)
        #expect(!inspection.isSupported)
        #expect(inspection.parts[0].difference.missing == ["conv_out.bias"])
        #expect(inspection.parts[0].difference.extra == ["surplus"])
        #expect(inspection.parts[1].difference.misshapen.map(\.name) == ["quant_conv.bias"])
        #expect(inspection.text.contains("missing (1): conv_out.bias"))
        #expect(inspection.text.contains("quant_conv.bias is [3], expected [8]"))
        #expect(throws: FileFailure.missingTensors(file: path, names: ["conv_out.bias"])) {
            try ModelSource(path: path).component(.unet)
        }
        #expect(throws: FileFailure.self) { try ModelSource(path: path).component(.vae) }
    }

    @Test func describesPartsAndLoRAs() throws {
        let vae = try Inspection(path: ContainerTests.fixture("vae.ckpt"))
        #expect(vae.family == .vae)
        #expect(vae.parts.first?.isComplete == true)
        #expect(vae.text.contains("this file as its VAE"))
        let lora = try Inspection(path: ContainerTests.fixture("lora/kohya.safetensors"))
        #expect(lora.family == .lora)
        #expect(lora.parts.first?.dtypes[.f32] == 16)
    }

    @Test func aFolderWithoutPartsSaysSo() throws {
        let folder = try TemporaryFolder()
        let inspection = try Inspection(path: folder.path)
        #expect(!inspection.isSupported)
        #expect(inspection.parts.allSatisfy { $0.problem != nil })
    }
}
