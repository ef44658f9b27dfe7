import Files

/// Weights as layers read them, kept by name in one file that is mapped: processes of one machine share its pages.
///
///     sections    64-byte aligned, one after another
///     index       JSON: `key`, what the file was made of; `about`, the same for people; `sections`, each name's
///                 [offset, bytes, checksum]
///     24 bytes    offset of the index, its checksum, `lvopack1`
///
/// What ends the file is written last, and the file gets its name after that: a part of one is never taken for a whole.
package struct PackedFile: Sendable {
    /// For people: model, network, precision, instruction set.
    package let about: JSON
    private let mapped: MappedFile
    private let sections: [String: Section]

    struct Section: Sendable {
        let range: Range<Int>
        let checksum: UInt64
    }

    /// Calls its body for every number below a count, on as many threads as it likes.
    package typealias Parallel = (_ count: Int, _ body: @escaping @Sendable (Int) -> Void) -> Void

    /// The version stands here: other versions have other last bytes.
    static let mark = Array("lvopack1".utf8)
    static let trailerBytes = 24

    /// Reads the index and no section.
    ///
    /// - Throws: `FileFailure.cannotRead`; `.malformed` for a file of another version, a part of one, or a damaged index.
    package init(path: String) throws(FileFailure) {
        mapped = try MappedFile(path: path)
        let bytes = mapped.bytes
        let damaged = FileFailure.malformed(file: path, reason: "no whole file of packed weights of this version")
        let end = bytes.count - Self.trailerBytes
        guard end >= 0, bytes[(end + 16)...].elementsEqual(Self.mark) else { throw damaged }
        let offset = bytes.loadUnaligned(fromByteOffset: end, as: UInt64.self)
        guard offset <= UInt64(end) else { throw damaged }
        let index = UnsafeRawBufferPointer(rebasing: bytes[Int(offset)..<end])
        guard Checksum.interleaved(index) == bytes.loadUnaligned(fromByteOffset: end + 8, as: UInt64.self),
            let json = try? JSON.parse(index)
        else { throw damaged }
        about = json["about"] ?? .null
        var sections: [String: Section] = [:]
        for (name, value) in json["sections"]?.object ?? JSONObject() {
            guard let section = Section(value, limit: Int(offset)) else { throw damaged }
            sections[name] = section
        }
        self.sections = sections
        mapped.preferLargePages()
    }

    /// Bytes of a section and what keeps them alive; nil if there is none of that name, or a bit of it has changed since it
    /// was written. Reads every byte, as the first use would.
    package func section(
        _ name: String, parallel: PackedFile.Parallel
    ) -> (bytes: UnsafeRawBufferPointer, owner: AnyObject)? {
        guard let section = sections[name] else { return nil }
        let bytes = UnsafeRawBufferPointer(rebasing: mapped.bytes[section.range])
        guard PackedChecksum.of(bytes, parallel: parallel) == section.checksum else { return nil }
        return (bytes, mapped)
    }
}

extension PackedFile.Section {
    /// - Parameter limit: where sections end.
    fileprivate init?(_ json: JSON, limit: Int) {
        guard let values = json.array, values.count == 3, let offset = values[0].int, let count = values[1].int,
            let checksum = values[2].string.flatMap({ UInt64($0, radix: 16) }),
            offset >= 0, count >= 0, offset <= limit, count <= limit - offset
        else { return nil }
        (range, self.checksum) = (offset..<offset + count, checksum)
    }

    var json: JSON {
        [.integer(range.lowerBound), .integer(range.count), .string(String(checksum, radix: 16))]
    }
}

/// A section's checksum: of its pieces' checksums, so that threads can share it.
enum PackedChecksum {
    private static let piece = 1 << 19

    static func of(
        _ bytes: UnsafeRawBufferPointer, parallel: PackedFile.Parallel
    ) -> UInt64 {
        let pieces = Pieces(bytes)
        parallel(pieces.count) { pieces.sum($0) }
        var checksum = Checksum()
        for index in 0..<pieces.count { checksum.add(pieces.sums[index]) }
        return checksum.value
    }

    /// Each piece's checksum is written by whichever thread has the piece.
    private final class Pieces: @unchecked Sendable {
        let bytes: UnsafeRawBufferPointer
        let count: Int
        let sums: UnsafeMutablePointer<UInt64>

        init(_ bytes: UnsafeRawBufferPointer) {
            self.bytes = bytes
            count = (bytes.count + piece - 1) / piece
            sums = .allocate(capacity: max(1, count))
        }

        deinit { sums.deallocate() }

        func sum(_ index: Int) {
            let range = index * piece..<min(bytes.count, (index + 1) * piece)
            sums[index] = Checksum.interleaved(UnsafeRawBufferPointer(rebasing: bytes[range]))
        }
    }
}
