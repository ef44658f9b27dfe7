import Checkpoints
import Files
import Foundation
import StableDiffusion
import Tensors
import Testing
import TestSupport

/// Every kind of number that weights files hold, against PyTorch and ggml's own Python package
/// (`tools/goldens/container_kinds.py`).
@Suite struct KindTests {
    private static func expected() throws -> [String: [Float]] {
        let file = try SafetensorsFile(path: Fixtures.path("kinds/expected.safetensors"))
        return Dictionary(uniqueKeysWithValues: file.weights.map { ($0.name, $0.floats()) })
    }

    private static func sameBits(_ a: [Float], _ b: [Float]) -> Bool {
        a.count == b.count && zip(a, b).allSatisfy { $0 == $1 || $0.isNaN && $1.isNaN }
    }

    private static func compare(_ weights: [Weight], prefix: String = "") throws -> Int {
        let expected = try expected()
        var compared = 0
        for weight in weights where weight.defect == nil {
            let reference = try #require(expected[prefix + weight.name], "\(weight.name)")
            #expect(sameBits(weight.floats(), reference), "\(weight.name)")
            compared += 1
        }
        return compared
    }

    /// Fifteen dtypes (three integers and both of eight bits are missing in the old format) and five ways to rebuild.
    @Test(arguments: [("zip.ckpt", 20), ("protocol4.ckpt", 20), ("old.ckpt", 15)])
    func torchTensorsAmongStrangeObjects(_ name: String, _ count: Int) throws {
        let file = try WeightFile(path: Fixtures.path("kinds/" + name))
        #expect(try Self.compare(file.weights) == count)
        let defects = Dictionary(uniqueKeysWithValues: file.weights.compactMap { w in w.defect.map { (w.name, $0) } })
        #expect(defects["complex"] == "is of kind ComplexFloatStorage, which is not read")
        #expect(defects["quantized"]?.contains("torch._utils._rebuild_qtensor") == true)
        #expect(defects["stranger"]?.contains("container_kinds.Stranger") == true)
        #expect(defects["epoch"] == nil)
        #expect(file.unknownNames.contains("container_kinds.Stranger"))
    }

    /// Trainers put the tensors into a member called as they like.
    @Test func theOneMemberWithTensorsIsTheModel() throws {
        let file = try WeightFile(path: Fixtures.path("kinds/one-member.pt"))
        #expect(file.weights.map(\.name).sorted() == ["a", "b"] && file.weights.first { $0.name == "b" }?.floats() == [3])
        #expect { try WeightFile(path: Fixtures.path("kinds/two-members.pt")) } throws: { "\($0)".contains("(ema, model)") }
    }

    @Test func doublesBeyondSinglePrecisionAreNotFinite() throws {
        let folder = try TemporaryFolder()
        let header = Array(#"{"a":{"dtype":"F64","shape":[2],"data_offsets":[0,16]}}"#.utf8)
        let values = [1, 1e300].flatMap { (value: Double) in withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) } }
        let length = [UInt8(header.count)] + [UInt8](repeating: 0, count: 7)
        let path = try folder.write("doubles.safetensors", length + header + values)
        #expect { try WeightStore(path: path).take("a", shape: [2]) } throws: {
            "\($0)".contains("tensor a holds inf (element 1)")
        }
    }

    @Test func partsMayBePickles() throws {
        let folder = try TemporaryFolder()
        let (pickle, plain) = (folder.file("2.bin"), folder.file("1.safetensors"))
        try FileManager.default.copyItem(atPath: Fixtures.path("kinds/part.bin"), toPath: pickle)
        try SafetensorsWriter.write([(name: "a", tensor: Tensor([1], [1]))], to: plain)
        let index: JSON = ["weight_map": ["a": "1.safetensors", "b": "2.bin"]]
        try index.write(to: folder.file("pytorch_model.bin.index.json"), overwrite: false)
        let store = try WeightStore(path: folder.file("pytorch_model.bin.index.json"))
        #expect(try store.take("b", shape: [1]).floats() == [3] && store.take("a", shape: [1]).floats() == [1])
    }

    @Test func safetensorsOfEveryKind() throws {
        let file = try WeightFile(path: Fixtures.path("kinds/kinds.safetensors"))
        #expect(try Self.compare(file.weights) == 15)
        #expect(file.weights.first { $0.name == "float8_e4m3fn" }?.dtype == .f8e4m3)
        #expect(try WeightFile(path: Fixtures.path("kinds/null-metadata.safetensors")).weights[0].floats() == [1])
    }

    @Test func blocksOfGGUF() throws {
        let file = try WeightFile(path: Fixtures.path("kinds/blocks.gguf"))
        #expect(file.container == .gguf)
        #expect(try Self.compare(file.weights, prefix: "gguf/") == 9)
        #expect(file.weights.first { $0.name == "kernel" }?.shape == [8, 4, 3, 4])
        #expect(file.weights.first { $0.name == "unread" }?.defect?.contains("Q4_K") == true)
        #expect(file.metadata["general.architecture"] == "sd1")
    }

    /// Only what is asked for must be readable.
    @Test func aWeightThatDependsOnSomethingUnknownIsNamed() throws {
        let store = try WeightStore(path: Fixtures.path("kinds/zip.ckpt"))
        #expect(try store.take("float16", shape: [2, 3]).floats()[3] == 3.5)
        for (name, reason) in [("complex", "ComplexFloatStorage"), ("stranger", "container_kinds.Stranger")] {
            let failure = #expect(throws: FileFailure.self) { try store.take(name, shape: [2]) }
            #expect(failure?.description.contains("zip.ckpt: tensor \(name) is ") == true)
            #expect(failure?.description.contains(reason) == true)
        }
        let strange = try WeightStore(path: Fixtures.path("kinds/unread-kind.safetensors"))
        #expect(try strange.take("a", shape: [1]).floats() == [1])
        var manifest = Manifest()
        manifest.tensor("x", [2])
        #expect { try strange.verify(manifest) } throws: { "\($0)".contains("tensor x is of kind F4") }
    }

    @Test func whatIsNoWeightsFileIsCalledByItsName() throws {
        let folder = try TemporaryFolder()
        let page = try folder.write("a.safetensors", Array("<!DOCTYPE html><html>".utf8))
        let packed = try folder.write("b.ckpt", [0x1F, 0x8B, 8, 0])
        for (path, word) in [
            (try Fixtures.path("kinds/pointer.safetensors"), "Git LFS pointer"), (page, "web page"), (packed, "gzip"),
        ] {
            for read in [{ _ = try WeightFile(path: path) }, { _ = try SafetensorsFile(path: path) }] {
                let failure = #expect(throws: FileFailure.self) { try read() }
                #expect(failure?.description.contains(word) == true)
            }
        }
    }

    @Test func aTruncatedGGUFIsRefused() throws {
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: Fixtures.path("kinds/blocks.gguf"))))
        let folder = try TemporaryFolder()
        for length in stride(from: 4, to: bytes.count - 200, by: 97) {
            let path = try folder.write("cut\(length).gguf", Array(bytes[..<length]))
            #expect(throws: FileFailure.self) { try WeightFile(path: path) }
        }
    }
}
