import Checkpoints
import Files
import Foundation
import StableDiffusion
import Tensors
import Testing
import TestSupport

/// One small model stored by `tools/make-containers` in every container must come out with the same numbers.
@Suite struct ContainerTests {
    static func fixture(_ name: String) throws -> String { try Fixtures.path("containers/" + name) }

    static func open(_ name: String) throws -> ModelSource { try ModelSource(path: fixture(name)) }

    /// Every value of every tensor of a component, by name.
    static func values(_ source: ModelSource, _ component: ModelComponent) throws -> [String: [Float]] {
        let contents = try source.component(component)
        let values = try component.manifest(contents.config).tensors.map {
            ($0.name, try contents.weights.take($0.name, shape: $0.shape).floats())
        }
        try contents.weights.finish()
        return Dictionary(uniqueKeysWithValues: values)
    }

    @Test(arguments: [
        "folder-fp16", "folder-sharded", "folder-bin", "folder-old-vae", "ldm-fp16-ema.safetensors",
        "ldm-fp32.safetensors", "ldm-pickle.ckpt", "ldm-legacy.ckpt", "ldm.gguf",
    ])
    func holdsTheSameModel(_ name: String) throws {
        let reference = try Self.open("folder-fp32")
        let source = try Self.open(name)
        for component in ModelComponent.allCases {
            let expected = try Self.values(reference, component)
            #expect(expected.count > 20)
            #expect(try Self.values(source, component) == expected)
            let (ours, theirs) = (try source.component(component).config, try reference.component(component).config)
            #expect(try component.manifest(ours).shapes == component.manifest(theirs).shapes)
            for key in ["attention_head_dim", "norm_num_groups", "scaling_factor", "num_attention_heads"] {
                #expect(ours.json[key] == theirs.json[key])
            }
        }
        #expect(try source.scheduler().json["steps_offset"] == 1)
        #expect(source.tokenizerFolder == nil)
    }

    @Test func theVAEMayComeFromAnotherFile() throws {
        let expected = try Self.values(Self.open("folder-fp32"), .vae)
        let base = try Self.fixture("folder-fp32")
        for name in ["vae.ckpt", "folder-old-vae/vae", "ldm-fp16-ema.safetensors"] {
            let other = try Self.fixture(name)
            // Norm groups leave no trace in shapes, so only the folder's configuration knows them; values are equal.
            #expect(try Self.values(ModelSource(path: base, vae: other), .vae) == expected)
        }
        #expect(throws: FileFailure.self) {
            try ModelSource(path: base, vae: Self.fixture("lora/kohya.safetensors"))
        }
    }

    @Test func leftoversAreNamed() throws {
        let leftovers = try Self.open("ldm-fp16-ema.safetensors").leftovers
        #expect(leftovers.contains("betas"))
        #expect(leftovers.contains("model_ema.decay"))
        #expect(leftovers.filter { $0.hasPrefix("model_ema.diffusion_model") }.count == 3)
        let text = try Self.open("ldm-fp16-ema.safetensors").component(.textEncoder)
        #expect(text.weights.leftovers == ["text_model.embeddings.position_ids"])
    }

    @Test func foldersWithoutWeightsSayWhatWasLookedFor() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder.file("unet"), withIntermediateDirectories: true)
        try ModelFolderFiles.unet(.sd15).write(to: folder.file("unet/config.json"), overwrite: false)
        try ModelFolderFiles.scheduler(predictionType: "epsilon").write(to: folder.file("s.json"), overwrite: false)
        try FileManager.default.createDirectory(atPath: folder.file("scheduler"), withIntermediateDirectories: true)
        try FileManager.default.moveItem(
            atPath: folder.file("s.json"), toPath: folder.file("scheduler/scheduler_config.json"))
        let source = try ModelSource(path: folder.path)
        #expect { try source.component(.unet) } throws: { error in
            let text = "\(error)"
            return text.contains("diffusion_pytorch_model.safetensors, ")
                && text.contains("diffusion_pytorch_model.bin")
                && (error as? FileFailure)?.kind == .missingInput
        }
    }

    @Test func predictionTypeIsFoundInSingleFiles() throws {
        let folder = try TemporaryFolder()
        let half = try SafetensorsFile(path: Self.fixture("ldm-fp16-ema.safetensors"))
        let marked = half.weights + [Weight(name: "v_pred", tensor: .zeros([0]))]
        try SafetensorsWriter.write(marked, metadata: half.metadata, to: folder.file("marked.safetensors"))
        let described = half.metadata.merging(["modelspec.prediction_type": "v"]) { $1 }
        try SafetensorsWriter.write(half.weights, metadata: described, to: folder.file("described.safetensors"))
        for name in ["marked", "described"] {
            let scheduler = try ModelSource(path: folder.file(name + ".safetensors")).scheduler()
            #expect(scheduler.json["prediction_type"] == "v_prediction")
        }
        #expect(try Self.open("ldm-fp16-ema.safetensors").scheduler().json["prediction_type"] == "epsilon")
        let rescaled = marked + [Weight(name: "ztsnr", tensor: .zeros([0]))]
        try SafetensorsWriter.write(rescaled, metadata: half.metadata, to: folder.file("rescaled.safetensors"))
        let scheduler = try ModelSource(path: folder.file("rescaled.safetensors")).scheduler()
        #expect(try SchedulerConfiguration(scheduler).schedule.alphasCumprod.last == 0)
        let sidecar: JSON = ["scheduler": ["prediction_type": "epsilon"]]
        try sidecar.write(to: folder.file("marked.json"), overwrite: false)
        #expect(
            try ModelSource(path: folder.file("marked.safetensors")).scheduler().json["prediction_type"] == "epsilon")
    }

    /// What web interfaces keep beside a checkpoint under its name is not all settings.
    @Test func notesBesideASingleFileAreLeftAlone() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("model.safetensors")
        try FileManager.default.copyItem(atPath: Self.fixture("ldm-fp16-ema.safetensors"), toPath: path)
        func scheduler(_ notes: JSON) throws -> JSON {
            try notes.write(to: folder.file("model.json"), overwrite: true)
            _ = try ModelSource(path: path).component(.vae)
            return try ModelSource(path: path).scheduler().json
        }
        let plain = try scheduler([:])
        #expect(try scheduler(["description": "x", "sd version": "SD1", "vae": "Automatic"]) == plain)
        #expect(try scheduler(["scheduler": ["prediction_type": "v_prediction"]]) != plain)
        #expect { try scheduler(["vae": "other.vae.pt"]) } throws: { "\($0)".contains("model.json: vae: expected an object") }
    }

    @Test func otherPredictionsAreRefused() throws {
        let folder = try TemporaryFolder()
        let file = try SafetensorsFile(path: Self.fixture("ldm-fp16-ema.safetensors"))
        let path = folder.file("model.safetensors")
        try SafetensorsWriter.write(file.weights, metadata: ["modelspec.prediction_type": "flow"], to: path)
        #expect { try ModelSource(path: path) } throws: { "\($0)".contains("modelspec.prediction_type: expected epsilon") }
    }

    @Test func originalNamesOfTheFullModelComeFromItsShapes() throws {
        let folder = try TemporaryFolder()
        let unet = UNetConfig.sd15.manifest.tensors.count
        // Full size cannot be a fixture; a quarter of each width has the same names and structure.
        let layout = UNetConfig(
            widths: [4, 8, 12, 12], layersPerBlock: 2, contextWidth: 6, downAttention: [true, true, true, false],
            upAttention: [false, true, true, true])
        let entries = layout.manifest.tensors.map { Weight(name: $0.name, tensor: .zeros($0.shape)) }
        #expect(entries.count == unet)
        try SafetensorsWriter.write(entries, to: folder.file("unet.safetensors"))
        #expect(try Inspection(path: folder.file("unet.safetensors")).family == .unet)
    }
}

/// Converting writes a folder that any reader of today's names loads.
@Suite struct ConversionTests {
    @Test(arguments: ["ldm-pickle.ckpt", "folder-old-vae", "folder-bin"])
    func writesACleanFolder(_ name: String) throws {
        let folder = try TemporaryFolder()
        let output = folder.file("out")
        try ModelFolderWriter.write(ContainerTests.open(name), to: output, dtype: .f16, overwrite: false)
        let reference = try ContainerTests.open("folder-fp32")
        let converted = try ModelSource(path: output)
        for component in ModelComponent.allCases {
            let expected = try ContainerTests.values(reference, component)
            #expect(try ContainerTests.values(converted, component) == expected)
            let file = try SafetensorsFile(path: "\(output)/\(component.rawValue)/\(component.weightsName).safetensors")
            #expect(Set(file.names) == Set(expected.keys))
            #expect(file.weights.allSatisfy { $0.dtype == .f16 })
        }
        #expect { try ModelFolderWriter.write(converted, to: output, dtype: .f16, overwrite: false) } throws: {
            ($0 as? FileFailure)?.kind == .cannotWrite
        }
        #expect(try Inspection(path: output).isSupported)
    }

    @Test func refusesWhatHalfPrecisionCannotHold() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.copyItem(atPath: ContainerTests.fixture("folder-fp32"), toPath: folder.file("in"))
        let path = folder.file("in/vae/diffusion_pytorch_model.safetensors")
        let weights = try SafetensorsFile(path: path).weights.map { weight in
            weight.name == "quant_conv.bias"
                ? Weight(name: weight.name, tensor: Tensor([8], [Float](repeating: 1e5, count: 8)))
                : weight
        }
        try SafetensorsWriter.write(weights, to: folder.file("new"))
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.moveItem(atPath: folder.file("new"), toPath: path)
        let source = try ModelSource(path: folder.file("in"))
        #expect {
            try ModelFolderWriter.write(source, to: folder.file("half"), dtype: .f16, overwrite: false)
        } throws: {
            "\($0)".contains("quant_conv.bias")
        }
        try ModelFolderWriter.write(source, to: folder.file("full"), dtype: .f32, overwrite: false)
        #expect(
            try ContainerTests.values(ModelSource(path: folder.file("full")), .vae)["quant_conv.bias"]?.first == 1e5)
    }

    @Test func theTokenizerComesAlong() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.copyItem(atPath: ContainerTests.fixture("folder-fp16"), toPath: folder.file("in"))
        try FileManager.default.createDirectory(atPath: folder.file("in/tokenizer"), withIntermediateDirectories: true)
        _ = try folder.write("in/tokenizer/vocab.json", Array("{}".utf8))
        _ = try folder.write("in/tokenizer/merges.txt", Array("a b\n".utf8))
        let source = try ModelSource(path: folder.file("in"))
        #expect(source.tokenizerFolder == folder.file("in/tokenizer"))
        try ModelFolderWriter.write(source, to: folder.file("out"), dtype: .f32, overwrite: false)
        #expect(try folder.bytes("out/tokenizer/merges.txt") == Array("a b\n".utf8))
        #expect(try ModelSource(path: folder.file("out")).tokenizerFolder == folder.file("out/tokenizer"))
    }
}
