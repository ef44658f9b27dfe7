import Files
import Tensors

/// A memory-mapped safetensors file. Tensors are views of the map; nothing is read until it is used.
public final class SafetensorsFile: Sendable {
    /// The file's path, as it was given.
    public let path: String
    /// Tensor names in the order of their bytes.
    public let names: [String]
    /// The header's `__metadata__`; empty without one.
    public let metadata: [String: String]
    private let entries: [String: SafetensorsHeader.Entry]
    private let file: MappedFile

    /// - Throws: `FileFailure` if the file is absent or its header does not describe its bytes exactly.
    public convenience init(path: String) throws(FileFailure) {
        try self.init(MappedFile(path: path))
    }

    /// Reads the header of a mapped file.
    ///
    /// - Throws: `FileFailure.malformed` if it is not of this format.
    public init(_ file: MappedFile) throws(FileFailure) {
        self.file = file
        path = file.path
        let header = try SafetensorsHeader(file.bytes, file: path)
        names = header.entries.map(\.name)
        metadata = header.metadata
        entries = Dictionary(uniqueKeysWithValues: header.entries.map { ($0.name, $0) })
    }

    /// - Throws: `FileFailure.missingTensors`.
    public func weight(_ name: String) throws(FileFailure) -> Weight {
        guard let entry = entries[name] else { throw .missingTensors(file: path, names: [name]) }
        return weight(entry)
    }

    /// All tensors, in the order of their bytes.
    public var weights: [Weight] { names.compactMap { entries[$0] }.map(weight) }

    private func weight(_ entry: SafetensorsHeader.Entry) -> Weight {
        guard entry.dtype != .unreadable else {
            return Weight(
                name: entry.name, shape: entry.shape, defect: "is of kind \(entry.dtypeName), which is not read",
                owner: file, limit: 8 * entry.range.count)
        }
        return Weight(
            name: entry.name, shape: entry.shape, dtype: entry.dtype,
            bytes: UnsafeRawBufferPointer(rebasing: file.bytes[entry.range]), owner: file)
    }
}
