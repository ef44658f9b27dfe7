import Checkpoints
import Files
import Foundation
import StableDiffusion
import Tensors
import Testing
import TestSupport

@Suite struct RefusalTests {
    /// Names and shapes that give each family away.
    static let families: [(ModelFamily, [String: [Int]])] = [
        (
            .sdxl,
            [
                "conditioner.embedders.0.transformer.text_model.final_layer_norm.bias": [1],
                ldm("input_blocks.0.0.weight"): [1, 4, 3, 3],
            ]
        ),
        (
            .sdxl,
            [
                "conv_in.weight": [1, 4, 3, 3],
                "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight": [1, 2048],
            ]
        ),
        (
            .stableDiffusion2,
            [
                ldm("input_blocks.0.0.weight"): [1, 4, 3, 3],
                ldm("input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"): [1, 1024],
            ]
        ),
        (.stableDiffusion2, ["cond_stage_model.model.ln_final.weight": [1]]),
        (.inpainting, [ldm("input_blocks.0.0.weight"): [1, 9, 3, 3]]),
        (.otherInput, [ldm("input_blocks.0.0.weight"): [1, 8, 3, 3]]),
        (.sd3, ["model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight": [1, 1]]),
        (.flux, ["double_blocks.0.img_attn.qkv.weight": [1, 1]]),
        (.dit, ["pos_embed.proj.weight": [1], "transformer_blocks.0.attn1.to_q.weight": [1, 1]]),
        (.controlNet, ["control_model.input_hint_block.0.weight": [1]]),
        (.lora, ["lora_unet_conv_in.lora_down.weight": [1, 1]]),
        (.vae, ["decoder.conv_in.weight": [1, 4, 3, 3]]),
        (.textEncoder, ["text_model.embeddings.token_embedding.weight": [1, 1]]),
        (.unknown, ["weight": [1]]),
    ]

    static func ldm(_ name: String) -> String { "model.diffusion_model." + name }

    @Test(arguments: families) func otherFamiliesAreNamed(_ family: ModelFamily, _ shapes: [String: [Int]]) throws {
        let folder = try TemporaryFolder()
        let path = folder.file("model.safetensors")
        try SafetensorsWriter.write(shapes.map { (name: $0.key, tensor: Tensor.zeros($0.value)) }, to: path)
        #expect(try Inspection(path: path).family == family)
        #expect { try ModelSource(path: path) } throws: {
            "\($0)".contains("this is \(family.rawValue); \(family.advice)")
        }
    }

    @Test(
        arguments: [
            (ModelFamily.sdxl, ["_class_name": "StableDiffusionXLPipeline"], [:]),
            (.sd3, ["_class_name": "StableDiffusion3Pipeline"], [:]), (.flux, ["_class_name": "FluxPipeline"], [:]),
            (.dit, ["_class_name": "PixArtAlphaPipeline", "transformer": ["diffusers", "Transformer2DModel"]], [:]),
            (.stableDiffusion2, ["_class_name": "StableDiffusionPipeline"], ["cross_attention_dim": 1024]),
            (.inpainting, ["_class_name": "StableDiffusionInpaintPipeline"], ["in_channels": 9]),
        ] as [(ModelFamily, JSON, JSON)])
    func foldersOfOtherFamiliesAreNamed(_ family: ModelFamily, _ index: JSON, _ unet: JSON) throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(atPath: folder.file("unet"), withIntermediateDirectories: true)
        try index.write(to: folder.file("model_index.json"), overwrite: false)
        try unet.write(to: folder.file("unet/config.json"), overwrite: false)
        #expect { try ModelSource(path: folder.path) } throws: { "\($0)".contains("this is \(family.rawValue)") }
        let inspection = try Inspection(path: folder.path)
        #expect(inspection.family == family)
        #expect(!inspection.isSupported)
    }

    /// The module is the one in which Python's `os.system` really lives. Nothing is executed, and sound weights are read.
    @Test func weightsMadeByAnyOtherCallAreRefusedByName() throws {
        let malicious = try WeightStore(path: ContainerTests.fixture("refused/malicious.ckpt"))
        #expect { try malicious.take("a.weight", shape: [2]) } throws: { "\($0)".contains("made by posix.system") }
        #expect(try malicious.take("b.weight", shape: [2]).floats() == [0, 0])
        let complex = try WeightStore(path: ContainerTests.fixture("refused/complex.ckpt"))
        #expect { try complex.take("a.weight", shape: [2]) } throws: { "\($0)".contains("ComplexFloatStorage") }
    }

    @Test func compressedZipsAreRefusedClearly() throws {
        #expect { try WeightFile(path: ContainerTests.fixture("refused/compressed.ckpt")) } throws: {
            "\($0)".contains("compressed")
        }
    }

    /// The format before PyTorch 1.6: another version, another byte order, a file cut off.
    @Test func damagedLegacyFilesAreRefusedClearly() throws {
        let path = try Fixtures.path("fuzz/legacy/views.ckpt")
        let sound = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        let folder = try TemporaryFolder()
        #expect(try WeightFile(path: path).weights.map(\.name) == ["w", "t", "b"])
        #expect(try WeightFile(path: path).weights[1].floats() == [0, 3, 1, 4, 2, 5])
        let version = try #require(sound.firstRange(of: [0x80, 2, 0x4D, 0xE9, 3]))
        let order = try #require(sound.firstRange(of: Array("little_endian".utf8)))
        let yes = try #require(sound[order.upperBound...].firstIndex(of: 0x88))
        var (other, swapped) = (sound, sound)
        other[version.upperBound - 1] = 4
        swapped[yes] = 0x89
        for (bytes, message) in [
            (other, "not 1001"), (swapped, "not little-endian"), (Array(sound.dropLast()), "was it cut off"),
            (Array(sound[..<order.lowerBound]), "ends early"),
        ] {
            let damaged = try folder.write("x.ckpt", bytes)
            #expect { try WeightFile(path: damaged) } throws: { "\($0)".contains(message) }
        }
    }

    /// Pickles by hand: each wraps the instructions in a stored zip.
    @Test(
        arguments: [
            ("pops nothing", [0x80, 2, 0x30, 0x2E]), ("stops with nothing", [0x80, 2, 0x2E]),
            ("ends early", [0x80, 2, 0x58, 4]),
            ("unknown instruction", [0x80, 2, 0xFF]), ("recalls nothing", [0x80, 2, 0x68, 9, 0x2E]),
            ("tuple without mark", [0x80, 2, 0x74, 0x2E]), ("not a dictionary", [0x80, 2, 0x4E, 0x2E]),
            ("sets items of nothing", [0x80, 2, 0x4E, 0x4E, 0x4E, 0x73, 0x2E]),
            ("calls a number", [0x80, 2, 0x4B, 1, 0x29, 0x52, 0x2E]),
            ("string not UTF-8", [0x80, 2, 0x8C, 1, 0xFF, 0x2E]),
            ("length beyond the end", [0x80, 2, 0x58, 0xFF, 0xFF, 0xFF, 0xFF, 0x2E]),
        ] as [(String, [UInt8])])
    func brokenPickles(_ what: String, _ pickle: [UInt8]) throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("x.ckpt", ZipBytes.archive([("a/data.pkl", pickle)]))
        #expect(throws: FileFailure.self) { try WeightFile(path: path) }
    }

    /// A million nested tuples, and a list that contains itself: neither recursion nor a leak may follow.
    @Test func deepAndCircularPicklesAreHarmless() throws {
        let folder = try TemporaryFolder()
        let deep = [0x80, 2, 0x4E] + [UInt8](repeating: 0x85, count: 1_000_000) + [0x2E]
        let circular: [UInt8] = [0x80, 2, 0x5D, 0x71, 0, 0x68, 0, 0x61, 0x2E]
        for (name, pickle) in [("deep", deep), ("circular", circular)] {
            let path = try folder.write(name, ZipBytes.archive([("a/data.pkl", pickle)]))
            #expect { try WeightFile(path: path) } throws: { "\($0)".contains("not a dictionary of tensors") }
        }
    }
}

/// A minimal writer of stored zip files.
enum ZipBytes {
    static func archive(_ entries: [(name: String, content: [UInt8])]) -> [UInt8] {
        func number<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
            withUnsafeBytes(of: value.littleEndian) { Array($0) }
        }
        var (bytes, directory): ([UInt8], [UInt8]) = ([], [])
        for (name, content) in entries {
            let offset = UInt32(bytes.count)
            let sizes = number(UInt32(content.count)) + number(UInt32(content.count))
            let lengths = number(UInt16(name.utf8.count)) + number(UInt16(0))
            let common = number(UInt16(20)) + [UInt8](repeating: 0, count: 12) + sizes + lengths
            bytes += number(UInt32(0x0403_4B50)) + common + Array(name.utf8) + content
            directory += number(UInt32(0x0201_4B50)) + number(UInt16(20)) + common
            directory += [UInt8](repeating: 0, count: 10) + number(offset) + Array(name.utf8)
        }
        let end = number(UInt32(0x0605_4B50)) + number(UInt32(0)) + number(UInt16(entries.count))
        return bytes + directory + end + number(UInt16(entries.count)) + number(UInt32(directory.count))
            + number(UInt32(bytes.count)) + number(UInt16(0))
    }
}
