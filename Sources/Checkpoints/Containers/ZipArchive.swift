import Files

/// The entries of a zip file whose contents are stored uncompressed, as PyTorch writes them: views of the file's
/// bytes. Zip64 is understood, since checkpoints pass 4 GB; compression and encryption are refused, so nothing here
/// can grow beyond the file. Checksums are not compared: PyTorch does not either, and it would mean reading
/// everything.
struct ZipArchive {
    private(set) var entries: [String: UnsafeRawBufferPointer] = [:]

    /// - Throws: `FileFailure.malformed` or `.unsupported`, naming `file`.
    init(_ bytes: UnsafeRawBufferPointer, file: String) throws(FileFailure) {
        do {
            try read(bytes, file: file)
        } catch let error as FileFailure {
            throw error
        } catch {
            throw .malformed(file: file, reason: "the zip directory points outside the file")
        }
    }

    private struct Directory {
        var count: Int
        var offset: Int
    }

    private mutating func read(_ bytes: UnsafeRawBufferPointer, file: String) throws {
        let directory = try Self.directory(bytes, file: file)
        var reader = try ByteReader(bytes, at: directory.offset)
        for _ in 0..<directory.count {
            let entry = try Self.entry(&reader, file: file)
            let content = try Self.content(bytes, entry, file: file)
            guard entries.updateValue(content, forKey: entry.name) == nil else {
                throw FileFailure.malformed(file: file, reason: "zip entry \(entry.name) is there twice")
            }
        }
    }

    /// Finds the end record: 22 bytes, then a comment of at most 65,535.
    private static func directory(_ bytes: UnsafeRawBufferPointer, file: String) throws -> Directory {
        let last = bytes.count - 22
        guard last >= 0 else { throw FileFailure.malformed(file: file, reason: "too short for a zip file") }
        for position in stride(from: last, through: max(0, last - 65_535), by: -1) {
            var reader = try ByteReader(bytes, at: position)
            guard try reader.number(UInt32.self) == 0x0605_4B50 else { continue }
            try reader.skip(6)
            var directory = Directory(count: try reader.int(UInt16.self), offset: 0)
            try reader.skip(4)
            directory.offset = try reader.int(UInt32.self)
            return try zip64(bytes, endRecord: position) ?? directory
        }
        throw FileFailure.malformed(file: file, reason: "no zip directory at its end; was it cut off?")
    }

    /// The 64-bit end record, found through the locator that stands before the plain one.
    private static func zip64(_ bytes: UnsafeRawBufferPointer, endRecord: Int) throws -> Directory? {
        guard endRecord >= 20 else { return nil }
        var locator = try ByteReader(bytes, at: endRecord - 20)
        guard try locator.number(UInt32.self) == 0x0706_4B50 else { return nil }
        try locator.skip(4)
        var reader = try ByteReader(bytes, at: locator.int(UInt64.self))
        guard try reader.number(UInt32.self) == 0x0606_4B50 else { throw ByteReader.End() }
        try reader.skip(28)
        let count = try reader.int(UInt64.self)
        try reader.skip(8)
        return Directory(count: count, offset: try reader.int(UInt64.self))
    }

    private struct Entry {
        let name: String
        let size: Int
        let headerOffset: Int
    }

    private static func entry(_ reader: inout ByteReader, file: String) throws -> Entry {
        guard try reader.number(UInt32.self) == 0x0201_4B50 else {
            throw FileFailure.malformed(file: file, reason: "the zip directory is damaged")
        }
        try reader.skip(4)
        let flags = try reader.number(UInt16.self)
        let method = try reader.number(UInt16.self)
        try reader.skip(8)
        let packed = try reader.int(UInt32.self)
        let size = try reader.int(UInt32.self)
        let lengths = (name: try reader.int(UInt16.self), extra: try reader.int(UInt16.self))
        let comment = try reader.int(UInt16.self)
        try reader.skip(8)
        let offset = try reader.int(UInt32.self)
        guard let name = String(validating: try reader.take(lengths.name), as: UTF8.self) else {
            throw FileFailure.malformed(file: file, reason: "a zip entry's name is not UTF-8")
        }
        let wide = try wideSizes(try reader.take(lengths.extra), size: size, packed: packed, offset: offset)
        try reader.skip(comment)
        guard method == 0, flags & 1 == 0, wide.size == wide.packed else {
            throw FileFailure.unsupported(
                file: file, found: "zip entry \(name) is compressed or encrypted",
                advice: "PyTorch stores its files plainly; save this one again with torch.save")
        }
        return Entry(name: name, size: wide.size, headerOffset: wide.offset)
    }

    /// Replaces the values that are all ones by those of the zip64 extra field, which holds only these, in order.
    private static func wideSizes(
        _ extra: UnsafeRawBufferPointer, size: Int, packed: Int, offset: Int
    ) throws -> (size: Int, packed: Int, offset: Int) {
        var values = (size: size, packed: packed, offset: offset)
        let marker = Int(UInt32.max)
        guard size == marker || packed == marker || offset == marker else { return values }
        var reader = try ByteReader(extra)
        while true {
            let tag = try reader.number(UInt16.self)
            let length = try reader.int(UInt16.self)
            guard tag == 1 else {
                try reader.skip(length)
                continue
            }
            if size == marker { values.size = try reader.int(UInt64.self) }
            if packed == marker { values.packed = try reader.int(UInt64.self) }
            if offset == marker { values.offset = try reader.int(UInt64.self) }
            return values
        }
    }

    /// The bytes after the entry's local header, whose name and extra field may differ in length from the directory's.
    private static func content(
        _ bytes: UnsafeRawBufferPointer, _ entry: Entry, file: String
    ) throws -> UnsafeRawBufferPointer {
        var reader = try ByteReader(bytes, at: entry.headerOffset)
        guard try reader.number(UInt32.self) == 0x0403_4B50 else {
            throw FileFailure.malformed(file: file, reason: "zip entry \(entry.name) has no header")
        }
        try reader.skip(22)
        let name = try reader.int(UInt16.self)
        let extra = try reader.int(UInt16.self)
        try reader.skip(name + extra)
        return try reader.take(entry.size)
    }
}
