import Files
import Tensors

/// A GGUF file (version 2 or 3) as stable-diffusion.cpp and ComfyUI-GGUF write them: entries of metadata, the list of
/// tensors, then their bytes, each aligned. Tensors are views of the map.
///
/// Format: ggml's `docs/gguf.md`.
final class GGUFFile: Sendable {
    let weights: [Weight]
    /// The entries that are text.
    let metadata: [String: String]

    static func isOne(_ bytes: UnsafeRawBufferPointer) -> Bool { bytes.starts(with: Array("GGUF".utf8)) }

    /// - Throws: `FileFailure.malformed` or `.unsupported`, naming the file.
    init(_ file: MappedFile) throws(FileFailure) {
        defer { withExtendedLifetime(file) {} }
        do {
            var header = try GGUFHeader(file.bytes, file: file.path)
            let entries = try header.entries()
            metadata = header.texts
            let prefix = Self.prefix(entries.map(\.name))
            weights = try entries.map { try Self.weight($0, prefix: prefix, header, file) }
        } catch let failure as FileFailure {
            throw failure
        } catch {
            throw .malformed(file: file.path, reason: "its list of tensors ends early")
        }
    }

    /// ComfyUI-GGUF keeps a U-Net alone, under the original names without their prefix.
    private static func prefix(_ names: [String]) -> String {
        names.contains("input_blocks.0.0.weight") ? "model.diffusion_model." : ""
    }

    private static func weight(
        _ entry: GGUFHeader.Entry, prefix: String, _ header: GGUFHeader, _ file: MappedFile
    ) throws(FileFailure) -> Weight {
        func bad(_ reason: String) -> FileFailure {
            .malformed(file: file.path, reason: "tensor \(entry.name): \(reason)")
        }
        let shape = header.shapes[entry.name] ?? entry.shape
        let name = prefix + entry.name
        guard let count = Shapes.count(shape), count == Shapes.count(entry.shape) else {
            throw bad("its shape \(shape) is too large, or not that of its \(entry.shape) elements")
        }
        guard let dtype = GGUFHeader.dtypes[entry.kind] else {
            let kind = GGUFHeader.unreadKinds[entry.kind] ?? "number \(entry.kind)"
            return Weight(
                name: name, shape: shape, defect: "is of GGUF's kind \(kind), which is not read", owner: file,
                limit: 8 * file.bytes.count)
        }
        guard count.isMultiple(of: dtype.blockLength), let size = Shapes.bytes([count / dtype.blockLength], dtype) else {
            throw bad("\(count) elements are not whole blocks of \(dtype.rawValue)")
        }
        let (start, overflow) = header.dataStart.addingReportingOverflow(entry.offset)
        guard !overflow, start <= file.bytes.count, size <= file.bytes.count - start else {
            throw bad("its \(size) bytes reach beyond the file's end; was it cut off?")
        }
        let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[start..<start + size])
        let flat = Weight(name: name, shape: [count], dtype: dtype, bytes: bytes, owner: file)
        // Rows that are not whole blocks could not be taken singly.
        let row = Shapes.count(Array(shape.dropFirst())) ?? 0
        if row.isMultiple(of: dtype.blockLength) { return flat.renamed(name, shape: shape) }
        return Weight(name: name, tensor: flat.tensor()).renamed(name, shape: shape)
    }
}

/// What stands before the tensors' bytes.
struct GGUFHeader {
    struct Entry {
        let name: String
        /// Slowest dimension first.
        let shape: [Int]
        let kind: UInt32
        /// From the start of the data.
        let offset: Int
    }

    private let file: String
    private var reader: ByteReader
    private let tensorCount: Int
    private var alignment = 32
    private(set) var texts: [String: String] = [:]
    /// The shapes of tensors that ComfyUI-GGUF stored under another (`comfy.gguf.orig_shape.NAME`), by name.
    private(set) var shapes: [String: [Int]] = [:]
    /// Known once the entries are read.
    private(set) var dataStart = 0

    /// `ggml_type`.
    static let dtypes: [UInt32: DType] = [
        0: .f32, 1: .f16, 2: .q4_0, 3: .q4_1, 6: .q5_0, 7: .q5_1, 8: .q8_0, 24: .i8, 25: .i16, 26: .i32, 27: .i64,
        28: .f64, 30: .bf16,
    ]
    static let unreadKinds: [UInt32: String] = [
        9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS",
        18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 29: "IQ1_M",
    ]
    private static let depthLimit = 4

    init(_ bytes: UnsafeRawBufferPointer, file: String) throws {
        self.file = file
        reader = try ByteReader(bytes, at: 4)
        let version = try reader.number(UInt32.self)
        guard version == 2 || version == 3 else {
            throw FileFailure.unsupported(
                file: file, found: "its version of GGUF is \(version)", advice: "versions 2 and 3 are read")
        }
        tensorCount = try reader.int(UInt64.self)
        for _ in 0..<(try reader.int(UInt64.self)) { try readMetadata() }
    }

    private func malformed(_ reason: String) -> FileFailure { .malformed(file: file, reason: reason) }

    mutating func entries() throws -> [Entry] {
        var entries: [Entry] = []
        var names: Set<String> = []
        for _ in 0..<tensorCount {
            let name = try text()
            let rank = try reader.int(UInt32.self)
            guard rank <= 4, names.insert(name).inserted else {
                throw malformed("tensor \(name) is there twice, or has \(rank) dimensions")
            }
            var shape: [Int] = []
            for _ in 0..<rank { shape.append(try reader.int(UInt64.self)) }
            entries.append(
                Entry(
                    name: name, shape: shape.reversed(), kind: try reader.number(UInt32.self),
                    offset: try reader.int(UInt64.self)))
        }
        dataStart = (reader.position + alignment - 1) / alignment * alignment
        return entries
    }

    private mutating func text() throws -> String {
        guard let text = String(validating: try reader.take(try reader.int(UInt64.self)), as: UTF8.self) else {
            throw malformed("a name in it is not UTF-8")
        }
        return text
    }

    private mutating func readMetadata() throws {
        let key = try text()
        let kind = try reader.number(UInt32.self)
        switch (key, kind) {
        case (_, 8): texts[key] = try text()
        case ("general.alignment", 4):
            alignment = try reader.int(UInt32.self)
            guard (1...1 << 20).contains(alignment) else { throw malformed("its alignment is \(alignment) bytes") }
        case (_, 9) where key.hasPrefix(Self.shapePrefix):
            shapes[String(key.dropFirst(Self.shapePrefix.count))] = try sizes()
        default: try skip(kind, depth: 0)
        }
    }

    private static let shapePrefix = "comfy.gguf.orig_shape."

    /// An array of 32-bit whole numbers.
    private mutating func sizes() throws -> [Int] {
        let (kind, count) = (try reader.number(UInt32.self), try reader.int(UInt64.self))
        guard kind == 5 || kind == 4, count <= 8 else { throw malformed("an original shape in it is not one") }
        var sizes: [Int] = []
        for _ in 0..<count { sizes.append(try reader.int(UInt32.self)) }
        return sizes
    }

    private mutating func skip(_ kind: UInt32, depth: Int) throws {
        switch kind {
        case 0, 1, 7: try reader.skip(1)
        case 2, 3: try reader.skip(2)
        case 4, 5, 6: try reader.skip(4)
        case 10, 11, 12: try reader.skip(8)
        case 8: try reader.skip(try reader.int(UInt64.self))
        case 9 where depth < Self.depthLimit:
            let (inner, count) = (try reader.number(UInt32.self), try reader.int(UInt64.self))
            for _ in 0..<count { try skip(inner, depth: depth + 1) }
        default: throw malformed("an entry of its metadata is of unknown kind \(kind)")
        }
    }
}
