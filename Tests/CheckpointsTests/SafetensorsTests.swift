import Checkpoints
import Files
import Foundation
import Tensors
import Testing
import TestSupport

@Suite struct SafetensorsTests {
    static func file(_ header: String, data: Int, length: UInt64? = nil) -> [UInt8] {
        let text = Array(header.utf8)
        return withUnsafeBytes(of: (length ?? UInt64(text.count)).littleEndian) { Array($0) } + text
            + [UInt8](repeating: 0, count: data)
    }

    static func entry(_ name: String, _ shape: String, dtype: String = "F32", _ begin: Int, _ end: Int) -> String {
        #""\#(name)":{"dtype":"\#(dtype)","shape":\#(shape),"data_offsets":[\#(begin),\#(end)]}"#
    }

    @Test func readsWhatItWrote() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("a.safetensors")
        let tensors = [
            ("x", Tensor([2, 3], [1, -2, 3.5, 0, 1e-8, 65504])), ("empty", Tensor([0, 4])), ("s", Tensor([], [7])),
        ]
        try SafetensorsWriter.write(tensors.map { (name: $0.0, tensor: $0.1) }, metadata: ["k": "v"], to: path)
        let file = try SafetensorsFile(path: path)
        #expect(Set(file.names) == ["x", "empty", "s"])
        #expect(file.metadata == ["k": "v"])
        #expect(try file.weight("x").floats() == [1, -2, 3.5, 0, 1e-8, 65504])
        #expect(try file.weight("x").shape == [2, 3])
        #expect(try file.weight("s").floats() == [7])
        #expect(try file.weight("empty").count == 0)
        #expect(throws: FileFailure.missingTensors(file: path, names: ["y"])) { try file.weight("y") }
        #expect(try folder.contents == ["a.safetensors"])
    }

    @Test func refusesToOverwriteUnlessAsked() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("a.safetensors")
        try SafetensorsWriter.write([(name: "x", tensor: Tensor([1], [1]))], to: path)
        #expect(throws: FileFailure.exists(file: path)) {
            try SafetensorsWriter.write([(name: "x", tensor: Tensor([1], [2]))], to: path)
        }
        #expect(try SafetensorsFile(path: path).weight("x").floats() == [1])
        try SafetensorsWriter.write([(name: "x", tensor: Tensor([1], [2]))], to: path, overwrite: true)
        #expect(try SafetensorsFile(path: path).weight("x").floats() == [2])
    }

    @Test func leavesNothingBehindWhenProducingFails() throws {
        struct Stop: Error {}
        let folder = try TemporaryFolder()
        #expect(throws: Stop.self) {
            try SafetensorsWriter.stream(
                [.init(name: "x", dtype: .f32, shape: [4])], to: folder.file("a.safetensors")
            ) { _, _ in throw Stop() }
        }
        #expect(try folder.contents == [])
    }

    @Test func idsAreExactAndWideElementsComeFirst() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("ids.safetensors")
        let values = [0, -1, 1 << 40]
        try SafetensorsWriter.write(ids: [(name: "ids", shape: [3], values: values)], to: path)
        let weight = try SafetensorsFile(path: path).weight("ids")
        #expect(weight.dtype == .i64)
        #expect(Array(weight.bytes.bindMemory(to: Int.self)) == values)
        let mixed = folder.file("mixed.safetensors")
        let half = Weight(
            name: "half", shape: [1], dtype: .f16, bytes: .init(rebasing: weight.bytes[0..<2]), owner: folder)
        try SafetensorsWriter.write([half, weight], to: mixed)
        #expect(try SafetensorsFile(path: mixed).names == ["ids", "half"])
    }

    /// Every half-precision number, the midpoints between neighbours and the floats beside them, against the
    /// compiler's own conversion.
    @Test func halfPrecisionRoundsToNearestEven() throws {
        var values: [Float] = [.infinity, -.infinity, 65519.996, 65520, 1e30, 1e-30, -1e-8, 0x1p-25, 0x1.000002p-25]
        for bits in UInt16(0)..<0x7C00 {
            let low = Float(Float16(bitPattern: bits))
            let middle = (low + Float(Float16(bitPattern: bits + 1))) / 2
            if middle.isFinite { values += [low, -low, middle, middle.nextUp, middle.nextDown, -middle] }
        }
        let folder = try TemporaryFolder()
        let tensor = Tensor([values.count], values)
        try SafetensorsWriter.write([(name: "x", tensor: tensor)], to: folder.file("h"), dtype: .f16)
        let written = try SafetensorsFile(path: folder.file("h")).weight("x")
        let expected = values.map { Float16($0).bitPattern }
        #expect(Array(written.bytes.bindMemory(to: UInt16.self)) == expected)
    }

    @Test func bfloatRoundsToNearestEven() throws {
        let folder = try TemporaryFolder()
        let values: [Float] = [1, 1.00390625, 1.01171875, -3.14159, 0, .infinity]
        try SafetensorsWriter.write([(name: "x", tensor: Tensor([6], values))], to: folder.file("b"), dtype: .bf16)
        #expect(
            try SafetensorsFile(path: folder.file("b")).weight("x").floats() == [
                1, 1, 1.015625, -3.140625, 0, .infinity,
            ])
    }

    static let malformed: [(String, [UInt8])] = [
        ("too few bytes", [1, 2, 3]),
        ("length beyond the file", file("{}", data: 0, length: 1 << 40)),
        ("length of -1", file("{}", data: 0, length: .max)),
        ("no header", file("", data: 16)),
        ("not an object", file("[]", data: 0)),
        ("white space first", file(" {}", data: 0)),
        ("duplicate name", file("{\(entry("a", "[1]", 0, 4)),\(entry("a", "[1]", 4, 8))}", data: 8)),
        ("out of range", file("{\(entry("a", "[2]", 0, 8))}", data: 4)),
        ("end before begin", file("{\(entry("a", "[1]", 4, 0))}", data: 4)),
        ("negative begin", file("{\(entry("a", "[2]", -4, 4))}", data: 4)),
        ("overlap", file("{\(entry("a", "[2]", 0, 8)),\(entry("b", "[2]", 4, 12))}", data: 12)),
        ("hole", file("{\(entry("a", "[1]", 0, 4)),\(entry("b", "[1]", 8, 12))}", data: 12)),
        ("bytes at the end", file("{\(entry("a", "[1]", 0, 4))}", data: 5)),
        ("size mismatch", file("{\(entry("a", "[3]", 0, 8))}", data: 8)),
        ("overflowing shape", file("{\(entry("a", "[4294967296,4294967296]", 0, 0))}", data: 0)),
        ("negative size", file("{\(entry("a", "[-1]", 0, 4))}", data: 4)),
        ("fractional size", file("{\(entry("a", "[1.5]", 0, 4))}", data: 4)),
        ("no offsets", file(#"{"a":{"dtype":"F32","shape":[1]}}"#, data: 4)),
        ("three offsets", file(#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}"#, data: 4)),
        ("entry is a number", file(#"{"a":1}"#, data: 0)),
        ("metadata of numbers", file(#"{"__metadata__":{"a":1}}"#, data: 0)),
    ]

    @Test(arguments: malformed) func refuses(_ what: String, _ bytes: [UInt8]) throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("bad.safetensors", bytes)
        #expect(
            performing: { try SafetensorsFile(path: path) },
            throws: { error in
                "\(error)".hasPrefix(path + ": ") && (error as? FileFailure)?.kind == .badData
            })
    }

    @Test func absentFilesAndFoldersAreMissingInput() throws {
        let folder = try TemporaryFolder()
        for path in [folder.path, folder.file("none")] {
            #expect(
                performing: { try SafetensorsFile(path: path) },
                throws: { error in
                    (error as? FileFailure)?.kind == .missingInput
                })
        }
    }

    @Test func errorsNameFileTensorExpectedAndFound() {
        let failure = FileFailure.misshapen(file: "f", tensor: "t", expected: [1, 2], found: [3])
        #expect(failure.description.hasPrefix("f: tensor t: expected shape [1, 2], found [3]"))
        let many = FileFailure.missingTensors(file: "f", names: ["a", "b", "c", "d", "e"])
        #expect(many.description.hasPrefix("f: tensors a, b, c and 2 more missing"))
    }
}
