import Files

/// Writes a `PackedFile`. Letting go of it before `commit` leaves nothing.
package final class PackedFileWriter {
    private let output: OutputFile
    private var offset = 0
    private var sections: [(String, JSON)] = []
    /// Bytes not yet written. They go out in large pieces at multiples of their size, which systems that keep files in
    /// large pages then do.
    private var waiting: [UInt8] = []
    private static let piece = 4 << 20

    init(path: String) throws(FileFailure) {
        output = try OutputFile(path: path, overwrite: true)
        waiting.reserveCapacity(Self.piece)
    }

    /// Appends a section.
    ///
    /// - Throws: `FileFailure.cannotWrite`.
    package func add(
        _ name: String, _ bytes: UnsafeRawBufferPointer, parallel: PackedFile.Parallel
    ) throws(FileFailure) {
        try append([UInt8](repeating: 0, count: (64 - offset % 64) % 64))
        let section = PackedFile.Section(
            range: offset..<offset + bytes.count, checksum: PackedChecksum.of(bytes, parallel: parallel))
        sections.append((name, section.json))
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = rest.prefix(Self.piece - waiting.count)
            try append(UnsafeRawBufferPointer(rebasing: part))
            rest = rest.dropFirst(part.count)
        }
    }

    /// Writes the index and gives the file its name.
    func commit(key: JSON, about: JSON) throws(FileFailure) {
        let json: JSON = ["key": key, "about": about, "sections": JSON(sections)]
        let (start, index) = (offset, Array(json.serialized().utf8))
        try append(index)
        let checksum = index.withUnsafeBytes { Checksum.interleaved($0) }
        for number in [UInt64(start), checksum] {
            try append((0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * UInt64($0))) })
        }
        try append(PackedFile.mark)
        try flush()
        try output.commit(isSynced: false)
    }

    private func append(_ bytes: [UInt8]) throws(FileFailure) {
        try bytes.withUnsafeBufferPointer { (bytes) throws(FileFailure) in try append(UnsafeRawBufferPointer(bytes)) }
    }

    private func append(_ bytes: UnsafeRawBufferPointer) throws(FileFailure) {
        waiting.append(contentsOf: bytes)
        offset += bytes.count
        if waiting.count >= Self.piece { try flush() }
    }

    private func flush() throws(FileFailure) {
        try output.write(waiting)
        waiting.removeAll(keepingCapacity: true)
    }
}
