import Files
import Tensors

/// The header of a safetensors file, checked against the file's length.
///
/// Layout: length of the JSON as a little-endian 64-bit number, the JSON, the tensors' bytes. The JSON maps a name to
/// `{dtype, shape, data_offsets: [begin, end]}`, offsets counted from the end of the JSON. As the format's own reader
/// does, this one refuses overlaps, holes, and bytes that belong to no tensor.
struct SafetensorsHeader {
    struct Entry: Equatable {
        let name: String
        let dtype: DType
        /// What the header calls it; kinds that are not known are `DType.unreadable`.
        let dtypeName: String
        let shape: [Int]
        /// Bytes from the start of the file.
        let range: Range<Int>
    }

    /// In the order of their bytes.
    private(set) var entries: [Entry] = []
    private(set) var metadata: [String: String] = [:]

    /// The format's own bound on the JSON's length.
    static let lengthLimit = 100_000_000

    init(_ bytes: UnsafeRawBufferPointer, file: String) throws(FileFailure) {
        try ForeignFile.refuse(bytes, file: file)
        guard bytes.count >= 8 else {
            throw .malformed(file: file, reason: "\(bytes.count) bytes are too few for a safetensors header")
        }
        let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
        guard length <= UInt64(min(Self.lengthLimit, bytes.count - 8)) else {
            throw .malformed(
                file: file, reason: "header of \(length) bytes in a file of \(bytes.count), not a safetensors file")
        }
        let start = 8 + Int(length)
        guard length > 0, bytes[8] == UInt8(ascii: "{") else {
            throw .malformed(file: file, reason: "the safetensors header does not start with '{'")
        }
        let object = try Self.parse(UnsafeRawBufferPointer(rebasing: bytes[8..<start]), file: file)
        for (name, value) in object {
            if name == "__metadata__" {
                metadata = try Self.metadata(value, file: file)
            } else {
                entries.append(try Self.entry(name, value, dataStart: start, dataEnd: bytes.count, file: file))
            }
        }
        try checkCoverage(dataStart: start, dataEnd: bytes.count, file: file)
    }

    private static func parse(
        _ bytes: UnsafeRawBufferPointer, file: String
    ) throws(FileFailure) -> JSONObject {
        var limits = JSON.Limits()
        limits.depth = 8
        do {
            guard let object = try JSON.parse(bytes, limits: limits).object else { return JSONObject() }
            return object
        } catch {
            throw .malformed(file: file, reason: "safetensors header: \(error.description)")
        }
    }

    private static func metadata(_ value: JSON, file: String) throws(FileFailure) -> [String: String] {
        if value == .null { return [:] }
        guard let object = value.object else {
            throw .malformed(file: file, reason: "__metadata__: expected an object, found \(value.typeName)")
        }
        var metadata: [String: String] = [:]
        for (key, value) in object {
            guard let text = value.string else {
                throw .malformed(file: file, reason: "__metadata__ \(key): expected a string, found \(value.typeName)")
            }
            metadata[key] = text
        }
        return metadata
    }

    private static func entry(
        _ name: String, _ value: JSON, dataStart: Int, dataEnd: Int, file: String
    ) throws(FileFailure) -> Entry {
        func bad(_ reason: String) -> FileFailure { .malformed(file: file, reason: "tensor \(name): \(reason)") }
        guard let dtypeName = value["dtype"]?.string, let shape = value["shape"]?.array?.map(\.int),
            let offsets = value["data_offsets"]?.array?.map(\.int), offsets.count == 2,
            let begin = offsets[0], let end = offsets[1]
        else { throw bad("expected dtype, shape and two data_offsets") }
        let dtype = DType.inSafetensors.first { $0.rawValue == dtypeName } ?? .unreadable
        guard let dimensions = Shapes.dimensions(shape), let size = Shapes.bytes(dimensions, dtype) else {
            throw bad("its shape is not a list of sizes, or too large")
        }
        guard 0 <= begin, begin <= end, end <= dataEnd - dataStart else {
            throw bad("data_offsets [\(begin), \(end)] exceed the \(dataEnd - dataStart) bytes of data")
        }
        guard end - begin == size || dtype == .unreadable else {
            throw bad("shape \(dimensions) of \(dtypeName) needs \(size) bytes, found \(end - begin)")
        }
        return Entry(
            name: name, dtype: dtype, dtypeName: dtypeName, shape: dimensions,
            range: dataStart + begin..<dataStart + end)
    }

    private mutating func checkCoverage(dataStart: Int, dataEnd: Int, file: String) throws(FileFailure) {
        entries.sort { ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound) }
        var position = dataStart
        for entry in entries {
            guard entry.range.lowerBound == position else {
                let what = entry.range.lowerBound < position ? "overlaps the one before" : "leaves a hole before it"
                throw .malformed(file: file, reason: "tensor \(entry.name) \(what)")
            }
            position = entry.range.upperBound
        }
        guard position == dataEnd else {
            throw .malformed(file: file, reason: "\(dataEnd - position) bytes at the end belong to no tensor")
        }
    }
}

/// Sizes from files, where products may overflow.
package enum Shapes {
    /// The dimensions if each is a whole number ≥ 0 and there are at most 32.
    package static func dimensions(_ shape: [Int?]) -> [Int]? {
        let known = shape.compactMap { $0 }
        return known.count == shape.count && shape.count <= 32 && known.allSatisfy { $0 >= 0 } ? known : nil
    }

    /// The product, or nil if it overflows.
    package static func count(_ dimensions: [Int]) -> Int? {
        var count = 1
        for dimension in dimensions {
            let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
            if overflow { return nil }
            count = product
        }
        return count
    }

    package static func bytes(_ dimensions: [Int], _ dtype: DType) -> Int? {
        count(dimensions + [dtype.byteWidth])
    }
}
