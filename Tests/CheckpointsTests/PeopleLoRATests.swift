import Checkpoints
import Files
import Foundation
import StableDiffusion
import Tensors
import Testing
import TestSupport

/// LoRA files as people have them, against what PEFT, diffusers and LyCORIS merge (tools/goldens/lora_files.py).
@Suite struct PeopleLoRATests {
    struct Case: CustomTestStringConvertible, Sendable {
        let name: String
        let file: String
        var scale: Float = 1
        /// The public report it stands for.
        let report: String

        var testDescription: String { name }
    }

    static let cases = [
        Case(
            name: "alpha in the header", file: "diffusers-header.safetensors",
            report: "https://github.com/Comfy-Org/ComfyUI/pull/15830"),
        Case(
            name: "alphas and ranks of their own for some layers", file: "peft-patterns/adapter_model.safetensors",
            report: "https://github.com/axolotl-ai-cloud/axolotl/pull/3673"),
        Case(
            name: "alpha over the root of the rank", file: "peft-rslora/adapter_model.safetensors",
            report: "https://github.com/NVIDIA/TensorRT-LLM/issues/1668"),
        Case(
            name: "DoRA of PEFT", file: "peft-dora/adapter_model.safetensors",
            report: "https://github.com/Comfy-Org/ComfyUI/issues/3494"),
        Case(
            name: "DoRA of kohya, over outputs and over inputs", file: "kohya-dora.safetensors", scale: 0.5,
            report: "https://github.com/xmarre/ComfyUI-DoRA-Dynamic-LoRA-Loader/issues/24"),
        Case(
            name: "biases", file: "peft-bias/adapter_model.safetensors",
            report: "https://github.com/huggingface/diffusers/pull/14408"),
        Case(
            name: "LoCon with a core, differences, norms", file: "kohya-locon.safetensors", scale: 0.5,
            report: "https://github.com/invoke-ai/InvokeAI/pull/3118"),
        Case(
            name: "LoHa", file: "kohya-loha.safetensors", scale: 0.5,
            report: "https://github.com/huggingface/diffusers/issues/3087"),
        Case(
            name: "LoHa of PEFT", file: "peft-loha/adapter_model.safetensors",
            report: "https://github.com/KohakuBlueleaf/LyCORIS/issues/270"),
        Case(
            name: "LoHa of PEFT with a core", file: "peft-loha-tucker/adapter_model.safetensors",
            report: "https://github.com/Comfy-Org/ComfyUI/issues/8683"),
        Case(
            name: "LoKr", file: "kohya-lokr.safetensors", scale: 0.5,
            report: "https://github.com/Comfy-Org/ComfyUI/issues/1144"),
        Case(
            name: "LoKr of PEFT", file: "peft-lokr/adapter_model.safetensors",
            report: "https://github.com/Comfy-Org/ComfyUI/issues/8285"),
        Case(
            name: "LoKr of PEFT, both matrices whole", file: "peft-lokr-whole/adapter_model.safetensors",
            report: "https://github.com/Comfy-Org/ComfyUI/issues/8285"),
        Case(
            name: "(IA)³", file: "kohya-ia3.safetensors", scale: 0.5,
            report: "https://github.com/Comfy-Org/ComfyUI/issues/6397"),
        Case(
            name: "(IA)³ of PEFT", file: "peft-ia3/adapter_model.safetensors",
            report: "https://github.com/Comfy-Org/ComfyUI/issues/6381"),
        Case(
            name: "lora_te1", file: "te1.safetensors", report: "https://github.com/kohya-ss/sd-scripts/issues/1806"),
        Case(
            name: "ComfyUI's names, text encoder", file: "comfy-text.safetensors",
            report: "https://github.com/Comfy-Org/ComfyUI/issues/5972"),
        Case(
            name: "ComfyUI's names, U-Net", file: "comfy-unet.safetensors",
            report: "https://github.com/huggingface/diffusers/pull/14408"),
        Case(
            name: "a text encoder's half", file: "text-half.safetensors",
            report: "https://github.com/kohya-ss/sd-scripts/issues/855"),
    ]

    private static func fixture(_ name: String) throws -> String { try Fixtures.path("people/lora/" + name) }

    private static func source(_ file: String, scale: Float = 1) throws -> ModelSource {
        try ModelSource(path: Fixtures.path("containers/folder-fp32"), loras: [(file, scale)])
    }

    @Test(arguments: cases) func mergedAsElsewhere(_ lora: Case) throws {
        let source = try Self.source(Self.fixture(lora.file), scale: lora.scale)
        #expect(source.unusedLoRAKeys == [])
        let stem = lora.file.split(separator: "/")[0].replacing(".safetensors", with: "")
        let expected = try SafetensorsFile(path: Self.fixture(stem + "-merged.safetensors"))
        let plain = try ContainerTests.open("folder-fp32")
        var changed: Set<String> = []
        for component in ModelComponent.allCases {
            let before = try ContainerTests.values(plain, component)
            for (name, values) in try ContainerTests.values(source, component) where values != before[name] {
                let reference = try expected.weight("\(component.rawValue)/\(name)").floats()
                let largest = reference.map(abs).max() ?? 0
                let error = zip(values, reference).map { abs($0 - $1) }.max() ?? .infinity
                // A few float32 operations, each of half a unit in the last place.
                #expect(error <= 1e-6 * largest, "\(name)")
                changed.insert("\(component.rawValue)/\(name)")
            }
        }
        #expect(changed == Set(expected.names))
    }

    /// The table of docs/testing.md names every case with its report.
    @Test func theTableIsComplete() throws {
        let table = try TextLines.read(Self.root + "/docs/testing.md")
        for lora in Self.cases {
            #expect(table.contains { $0.contains(lora.report) && $0.contains(lora.name) }, "\(lora.name)")
        }
    }

    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../..").standardizedFileURL.path

    /// docs/models.md lists every key and every ending.
    @Test func theListsOfKeysAreComplete() throws {
        let lists = try TextLines.text(of: Self.root + "/docs/models.md")
        for key in AdapterConfig.used.union(AdapterConfig.harmless) { #expect(lists.contains("`\(key)`"), "\(key)") }
        for ending in LoRANames.knownEndings { #expect(lists.contains("`\(ending.drop { $0 == "." })`"), "\(ending)") }
    }

    @Test func inspectSaysWhereScalesAreFrom() throws {
        let header = try Inspection(path: Self.fixture("diffusers-header.safetensors")).text
        #expect(header.contains("scale from its header: unet alpha 16.0 / rank 4 and 2 layers of their own"))
        let beside = try Inspection(path: Self.fixture("peft-rslora/adapter_model.safetensors")).text
        #expect(beside.contains("scale from adapter_config.json: alpha 8.0 / √rank 4"))
        let tensors = try Inspection(path: Self.fixture("kohya-dora.safetensors")).text
        #expect(tensors.contains("DoRA on LoRA: 4 layers") && tensors.contains("scale from its alpha tensors"))
        let nothing = try Inspection(path: Self.fixture("te1.safetensors")).text
        #expect(nothing.contains("scale from nothing: 1"))
    }

    /// A layer of which any tensor is not understood is left out whole.
    @Test(arguments: ["reshape_weight", "oft_blocks", "lora_embedding_A"]) func strangersSpoilTheirLayer(
        _ ending: String
    ) throws {
        let folder = try TemporaryFolder()
        let file = try SafetensorsFile(path: Self.fixture("kohya-dora.safetensors"))
        let layer = "lora_unet_down_blocks_0_resnets_0_conv1"
        let stranger = Weight(name: "\(layer).\(ending)", tensor: .zeros([1]))
        let path = folder.file("strange.safetensors")
        try SafetensorsWriter.write(file.weights + [stranger], to: path)
        let source = try Self.source(path)
        let spoiled = (file.names + [stranger.name]).filter { $0.hasPrefix(layer + ".") }.sorted()
        #expect(source.unusedLoRAKeys == spoiled.map { "\(path): \($0)" })
        let plain = try ContainerTests.values(ContainerTests.open("folder-fp32"), .unet)
        let conv = "down_blocks.0.resnets.0.conv1.weight"
        #expect(try ContainerTests.values(source, .unet)[conv] == plain[conv])
    }

    @Test func twoSourcesOfScaleMustAgree() throws {
        let folder = try TemporaryFolder()
        let file = try SafetensorsFile(path: Self.fixture("diffusers-header.safetensors"))
        let layer = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
        for (alpha, isFine) in [(16, true), (8, false)] as [(Float, Bool)] {
            let path = folder.file("alpha-\(alpha).safetensors")
            let weight = Weight(name: layer + ".alpha", tensor: Tensor([1], [alpha]))
            try SafetensorsWriter.write(file.weights + [weight], metadata: file.metadata, to: path)
            if isFine {
                #expect(try Self.source(path).unusedLoRAKeys == [])
            } else {
                #expect { try Self.source(path) } throws: {
                    "\($0)".contains("\(layer).alpha scales it by 2.0, its header by 4.0; remove one of the two")
                }
            }
        }
    }

    /// Every key of PEFT's configuration: used, harmless, or refused if it says anything.
    @Test func everyKeyOfTheConfigurationIsKnownOrRefused() throws {
        let folder = try TemporaryFolder()
        let peft = try Self.fixture("peft-patterns")
        let lora = folder.file("adapter_model.safetensors")
        try FileManager.default.copyItem(atPath: peft + "/adapter_model.safetensors", toPath: lora)
        let config = try #require(try JSON.read(peft + "/adapter_config.json").object)
        func message(_ key: String, _ value: JSON) throws -> String? {
            var changed = config
            changed[key] = value
            try JSON.object(changed).write(to: folder.file("adapter_config.json"), overwrite: true)
            do {
                _ = try Self.source(lora)
                return nil
            } catch {
                return "\(error)"
            }
        }
        for key in AdapterConfig.harmless { #expect(try message(key, ["x"]) == nil, "\(key)") }
        for key in config.keys where !AdapterConfig.used.contains(key) && !AdapterConfig.harmless.contains(key) {
            #expect(try message(key, config[key] ?? .null) == nil, "\(key)")
            #expect(try message(key, ["x": 1])?.contains("adapter_config.json: \(key): expected nothing") == true)
        }
        #expect(try message("a_key_of_tomorrow", true)?.contains("a_key_of_tomorrow") == true)
        #expect(try message("a_key_of_tomorrow", false) == nil)
        #expect(try message("init_lora_weights", "pissa_niter_4")?.contains("leaves the base model") == true)
        #expect(try message("init_lora_weights", "gaussian") == nil)
        #expect(try message("layer_replication", [[0, 1]])?.contains("layer_replication") == true)
        #expect(try message("peft_type", "VERA")?.contains("expected LORA") == true)
        #expect(try message("r", 5)?.contains("expected 4, the rank of") == true)
        #expect(try message("alpha_pattern", [".*conv1": 2]) == nil)
        #expect(try message("alpha_pattern", ["(conv1": 2])?.contains("a regular expression, found '(conv1'") == true)
        #expect(try message("lora_alpha", "x")?.contains("lora_alpha: expected a number") == true)
    }

    private static let layers = [
        "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q",
        "up_blocks.1.attentions.2.transformer_blocks.0.attn2.to_k", "mid_block.attentions.0.proj_in", "conv_in",
    ]

    /// Which of `layers` each expression is for, by PEFT 0.21's `get_pattern_key`.
    @Test(arguments: [
        ("to_q", [0]), ("attn1.to_q", [0]), ("attn[12]\\.to_[qk]", [0, 1]), ("^conv_in$", [3]), ("^to_q", []),
        ("down_blocks\\.\\d+\\..*\\.to_q", [0]), ("(mid_block|up_blocks.1).*", [1, 2]), ("proj_(in|out)", [2]),
        ("o_q", []), ("^mid_block.attentions.0.proj_in", [2]), ("mid_block", []), ("conv_in|to_k", [1, 3]),
        (".*attn2.*", [1]),
    ])
    func patternsAreForTheLayersThatPEFTMatches(pattern: String, expected: [Int]) throws {
        let json: JSON = ["r": 4, "lora_alpha": 4, "alpha_pattern": JSON([(pattern, JSON.integer(8))])]
        let config = try AdapterConfig(ConfigFile(file: "adapter_config.json", json: json))
        #expect(try Self.layers.indices.filter { try config.scale(Self.layers[$0], rank: 4) == 2 } == expected)
    }

    /// PEFT itself takes for ever.
    @Test(arguments: ["(a+)+b", "(.*)*x", "(.|a)*y", "(a|aa)+b", "(.*.*.*.*)*z", "((a*)*)*b", "(x+x+)+y|(a+a+)+b"])
    func patternsThatTakeForEverAreRefused(pattern: String) throws {
        let json: JSON = ["r": 4, "lora_alpha": 4, "rank_pattern": JSON([(pattern, JSON.integer(8))])]
        let config = try AdapterConfig(ConfigFile(file: "adapter_config.json", json: json))
        let module = "mid_block." + String(repeating: "a", count: 200)
        #expect { try config.scale(module, rank: 4) } throws: {
            let words = "adapter_config.json: rank_pattern: expected a regular expression without repetitions of repetitions"
            return "\($0)".hasPrefix(words + ", found '(.*\\.)?(\(pattern))$', too slow for mid_block.a")
        }
    }

    @Test(arguments: ["kohya-dora.safetensors", "peft-ia3/adapter_model.safetensors"]) func notANumberIsRefused(
        _ name: String
    ) throws {
        let folder = try TemporaryFolder()
        let file = try SafetensorsFile(path: Self.fixture(name))
        let last = try #require(file.weights.last)
        var values = last.floats()
        values[values.count - 1] = .nan
        let bad = Weight(name: last.name, tensor: Tensor(last.shape, values))
        let path = folder.file("bad.safetensors")
        try SafetensorsWriter.write(file.weights.dropLast() + [bad], to: path)
        #expect { try Self.source(path) } throws: {
            "\($0)".hasPrefix("\(path): tensor \(last.name) holds nan (element \(values.count - 1))")
        }
    }
}

/// NaN and infinity anywhere in a model are refused, with file and tensor.
@Suite struct FiniteWeightTests {
    @Test(arguments: [DType.f32, .f16, .bf16, .f64], [0, 1, 4095, 4096, 9000]) func theFirstIsFound(
        _ dtype: DType, _ place: Int
    ) throws {
        let folder = try TemporaryFolder()
        for value in [Float.nan, .infinity, -.infinity] {
            var values = (0..<9001).map { Float($0 % 7) - 3 }
            let clean = Weight(name: "x", tensor: Tensor([9001], values))
            #expect(clean.firstNotFinite == nil)
            values[place] = value
            let path = folder.file("x.safetensors")
            let tensor = Tensor([9001], values)
            try SafetensorsWriter.stream(
                [SafetensorsWriter.Entry(name: "x", dtype: dtype, shape: [9001])], to: path, overwrite: true
            ) { _, sink in try Weight(name: "x", tensor: tensor).write(as: dtype, into: sink) }
            let found = try SafetensorsFile(path: path).weight("x").firstNotFinite
            #expect(found?.index == place)
            #expect(found.map { $0.value.isNaN == value.isNaN && ($0.value < 0) == (value < 0) } == true)
        }
    }

    @Test(arguments: ModelComponent.allCases) func inEveryNetwork(_ component: ModelComponent) throws {
        let folder = try TemporaryFolder()
        try FileManager.default.copyItem(atPath: Fixtures.path("containers/folder-fp32"), toPath: folder.file("in"))
        let path = folder.file("in/\(component.rawValue)/\(component.weightsName).safetensors")
        let file = try SafetensorsFile(path: path)
        let first = try #require(file.weights.first)
        let bad = Weight(
            name: first.name, tensor: Tensor(first.shape, [Float](repeating: -.infinity, count: first.count)))
        try SafetensorsWriter.write([bad] + file.weights.dropFirst(), to: folder.file("new"))
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.moveItem(atPath: folder.file("new"), toPath: path)
        let source = try ModelSource(path: folder.file("in"))
        #expect { try ContainerTests.values(source, component) } throws: {
            "\($0)".contains("\(path): tensor \(first.name) holds -inf (element 0)")
        }
    }
}
