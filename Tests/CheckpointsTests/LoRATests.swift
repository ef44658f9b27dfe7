import Checkpoints
import StableDiffusion
import Tensors
import Testing
import TestSupport

/// LoRA files of each convention against weights that a separate program merged in double precision.
@Suite struct LoRATests {
    static func check(_ file: String, scale: Float, merged: String, unused: [String] = []) throws {
        let path = try ContainerTests.fixture("lora/" + file)
        let source = try ModelSource(path: ContainerTests.fixture("folder-fp32"), loras: [(path, scale)])
        let plain = try ContainerTests.open("folder-fp32")
        let expected = try SafetensorsFile(path: ContainerTests.fixture("lora/\(merged)-merged.safetensors"))
        #expect(source.unusedLoRAKeys == unused.map { "\(path): \($0)" })
        var changed = 0
        for component in ModelComponent.allCases {
            let before = try ContainerTests.values(plain, component)
            for (name, values) in try ContainerTests.values(source, component) where values != before[name] {
                let reference = try expected.weight("\(component.rawValue)/\(name)").floats()
                let error = zip(values, reference).map { abs($0 - $1) }.max() ?? .infinity
                // One product of float32 numbers below 10 and one sum: a few units in the last place.
                #expect(error < 4e-6, "\(name)")
                changed += 1
            }
        }
        #expect(changed == expected.names.count)
    }

    @Test func kohya() throws {
        try Self.check(
            "kohya.safetensors", scale: 0.5, merged: "kohya",
            unused: ["lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight"])
    }

    @Test func diffusers() throws { try Self.check("diffusers.safetensors", scale: 1, merged: "diffusers") }

    @Test func olderDiffusers() throws { try Self.check("diffusers-old.bin", scale: 1, merged: "diffusers") }

    @Test func peftWithItsConfiguration() throws {
        try Self.check("peft/adapter_model.safetensors", scale: 1, merged: "peft")
    }

    @Test func severalAddUp() throws {
        let base = try ContainerTests.fixture("folder-fp32")
        let file = try ContainerTests.fixture("lora/diffusers.safetensors")
        let once = try ModelSource(path: base, loras: [(file, 1)])
        let halves = try ModelSource(path: base, loras: [(file, 0.5), (file, 0.5)])
        let (a, b) = (try ContainerTests.values(once, .unet), try ContainerTests.values(halves, .unet))
        for (name, values) in a {
            #expect(zip(values, b[name] ?? []).allSatisfy { abs($0 - $1) < 4e-6 })
        }
        let nothing = try ModelSource(path: base, loras: [(file, 1), (file, -1)])
        let plain = try ContainerTests.values(ContainerTests.open("folder-fp32"), .unet)
        for (name, values) in try ContainerTests.values(nothing, .unet) {
            #expect(zip(values, plain[name] ?? []).allSatisfy { abs($0 - $1) < 4e-6 })
        }
    }

    @Test func singleFilesTakeLoRAsToo() throws {
        let file = try ContainerTests.fixture("lora/kohya.safetensors")
        let folder = try ModelSource(path: ContainerTests.fixture("folder-fp32"), loras: [(file, 1)])
        let single = try ModelSource(path: ContainerTests.fixture("ldm-pickle.ckpt"), loras: [(file, 1)])
        #expect(try ContainerTests.values(single, .unet) == ContainerTests.values(folder, .unet))
    }

    @Test func misfitsAreUnusedAndNeverPartlyApplied() throws {
        let folder = try TemporaryFolder()
        let base = "lora_unet_mid_block_attentions_0_proj_in"
        let fitting = "lora_te_text_model_encoder_layers_0_mlp_fc1"
        let tensors: [(name: String, tensor: Tensor)] = [
            (fitting + ".lora_down.weight", .zeros([1, 4])), (fitting + ".lora_up.weight", .zeros([8, 1])),
            (base + ".lora_down.weight", .zeros([1, 7])), (base + ".lora_up.weight", .zeros([8, 1])),
            ("lora_unet_conv_in.lora_down.weight", .zeros([1, 4, 3, 3])),
            ("lora_unet_conv_out.lora_up.weight", .zeros([4, 1, 1, 1])),
            ("lora_unet_conv_out.lora_down.weight", .zeros([1, 4, 3, 3])),
            ("lora_unet_conv_out.lora_mid.weight", .zeros([1, 1, 3, 3])), ("strange", .zeros([1])),
        ]
        let path = folder.file("misfits.safetensors")
        try SafetensorsWriter.write(tensors, to: path)
        let source = try ModelSource(path: ContainerTests.fixture("folder-fp32"), loras: [(path, 1)])
        #expect(source.unusedLoRAKeys == tensors.dropFirst(2).map { "\(path): \($0.name)" }.sorted())
    }

    @Test func aFileThatFitsNowhereIsAnError() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("sdxl.safetensors")
        try SafetensorsWriter.write([(name: "lora_te2_x.lora_down.weight", tensor: .zeros([1, 4]))], to: path)
        #expect { try ModelSource(path: ContainerTests.fixture("folder-fp32"), loras: [(path, 1)]) } throws: {
            "\($0)".contains("none of its 1 tensors fits")
        }
    }
}
