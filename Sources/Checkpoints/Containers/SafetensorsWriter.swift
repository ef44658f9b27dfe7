import Files
import Tensors

/// Writes safetensors files, whole or not at all.
public enum SafetensorsWriter {
    /// What the header says of a tensor.
    public struct Entry: Sendable, Equatable {
        public let name: String
        public let dtype: DType
        public let shape: [Int]

        public init(name: String, dtype: DType, shape: [Int]) {
            self.name = name
            self.dtype = dtype
            self.shape = shape
        }

        public var count: Int { shape.reduce(1, *) }
        var byteCount: Int { dtype.byteCount(count) }
    }

    /// Accepts the next bytes of the tensor being written.
    public typealias Sink = (UnsafeRawBufferPointer) throws -> Void

    /// Writes float tensors in one dtype: `f32`, or `f16`, `bf16` rounded to nearest even.
    public static func write(
        _ tensors: [(name: String, tensor: Tensor)], metadata: [String: String] = [:], to path: String,
        overwrite: Bool = false, dtype: DType = .f32
    ) throws {
        try write(
            tensors.map { Weight(name: $0.name, tensor: $0.tensor) }, as: dtype, metadata: metadata, to: path,
            overwrite: overwrite)
    }

    /// Writes weights, converted to `dtype` (a float type), or as they are if that is nil.
    public static func write(
        _ weights: [Weight], as dtype: DType? = nil, metadata: [String: String] = [:], to path: String,
        overwrite: Bool = false
    ) throws {
        let entries = weights.map { Entry(name: $0.name, dtype: dtype ?? $0.dtype, shape: $0.shape) }
        let byName = Dictionary(uniqueKeysWithValues: weights.map { ($0.name, $0) })
        try stream(entries, metadata: metadata, to: path, overwrite: overwrite) { entry, sink in
            guard let weight = byName[entry.name] else { return }
            try weight.write(as: entry.dtype, into: sink)
        }
    }

    /// Writes whole numbers (token ids, indices) as I64 beside nothing else.
    public static func write(
        ids: [(name: String, shape: [Int], values: [Int])], metadata: [String: String] = [:], to path: String,
        overwrite: Bool = false
    ) throws {
        try write(
            ids.map { Weight(name: $0.name, shape: $0.shape, integers: $0.values) }, metadata: metadata, to: path,
            overwrite: overwrite)
    }

    /// Writes the header, then each tensor as `produce` hands over its bytes in any number of pieces, so that a model
    /// need never be whole in memory. Tensors of wider elements come first, which keeps all of them aligned.
    ///
    /// - Throws: `FileFailure`, or what `produce` throws; the file then does not appear.
    public static func stream(
        _ entries: [Entry], metadata: [String: String] = [:], to path: String, overwrite: Bool = false,
        produce: (_ entry: Entry, _ sink: Sink) throws -> Void
    ) throws {
        let ordered = entries.enumerated().sorted {
            ($1.element.dtype.byteWidth, $0.offset) < ($0.element.dtype.byteWidth, $1.offset)
        }.map(\.element)
        let output = try OutputFile(path: path, overwrite: overwrite)
        try output.write(header(ordered, metadata: metadata))
        for entry in ordered {
            var written = 0
            try produce(entry) { bytes in
                written += bytes.count
                try output.write(bytes)
            }
            precondition(written == entry.byteCount, "\(entry.name): \(written) bytes for shape \(entry.shape)")
        }
        try output.commit()
    }

    private static func header(_ entries: [Entry], metadata: [String: String]) -> [UInt8] {
        var members = JSONObject()
        if !metadata.isEmpty {
            // A dictionary's own order differs from run to run.
            let sorted = metadata.sorted { $0.key < $1.key }
            members["__metadata__"] = JSON(sorted.map { ($0.key, .string($0.value)) })
        }
        var offset = 0
        for entry in entries {
            precondition(members[entry.name] == nil, "two tensors are called \(entry.name)")
            members[entry.name] = [
                "dtype": .string(entry.dtype.rawValue), "shape": .array(entry.shape.map { .integer($0) }),
                "data_offsets": [.integer(offset), .integer(offset + entry.byteCount)],
            ]
            offset += entry.byteCount
        }
        var text = Array(JSON.object(members).serialized().utf8)
        text += [UInt8](repeating: UInt8(ascii: " "), count: (8 - text.count % 8) % 8)
        return withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text
    }
}
