import Files
import Tensors

/// What `torch.save` wrote before PyTorch 1.6, and still does with `_use_new_zipfile_serialization=False`: five pickles
/// (a magic number, the format's version, the machine, the object, the storages' keys), then in the keys' order each
/// storage's number of elements (64 bits) and its elements.
enum LegacyTorch {
    /// The magic number as a pickle of protocol 2, torch's default: 0x1950a86a20f9469cfc6c, ten bytes long.
    private static let magic: [UInt8] = [
        0x80, 2, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E,
    ]
    private static let version = 1001

    static func isOne(_ bytes: UnsafeRawBufferPointer) -> Bool { bytes.starts(with: magic) }

    /// - Throws: `FileFailure.malformed` or `.unsupported`, naming `file`.
    static func contents(_ bytes: UnsafeRawBufferPointer, file: String) throws -> TorchFile.Contents {
        var position = magic.count
        func next() throws -> (value: PickleValue, reader: PickleReader) {
            var reader = try PickleReader(upTo: UnsafeRawBufferPointer(rebasing: bytes[position...]), file: file)
            let value = try reader.value()
            position += reader.consumed
            return (value, reader)
        }
        guard try next().value.int == version else {
            throw FileFailure.unsupported(
                file: file, found: "its version of torch.save's old format is not \(version)",
                advice: "load it with a newer PyTorch and torch.save it again")
        }
        let machine = try next()
        guard isLittleEndian(machine.value, machine.reader) else {
            throw FileFailure.unsupported(
                file: file, found: "its numbers are not little-endian", advice: "save it on an x86 or ARM machine")
        }
        let object = try next()
        let keys = try next()
        let storages = try storages(
            bytes, from: position, keys: Self.keys(keys.value, keys.reader), kinds: object.reader.storageKinds,
            file: file)
        return TorchFile.Contents(top: object.value, reader: object.reader, storages: storages)
    }

    private static func isLittleEndian(_ machine: PickleValue, _ reader: PickleReader) -> Bool {
        guard case .dictionary(let index) = machine else { return false }
        return reader.dictionaries[index].contains { key, value in
            if case .bool(true) = value { key.string == "little_endian" } else { false }
        }
    }

    private static func keys(_ list: PickleValue, _ reader: PickleReader) -> [String?] {
        if case .list(let index) = list { reader.lists[index].map(\.string) } else { [nil] }
    }

    private static func storages(
        _ bytes: UnsafeRawBufferPointer, from start: Int, keys: [String?], kinds: [String: StorageKind], file: String
    ) throws -> [String: UnsafeRawBufferPointer] {
        var storages: [String: UnsafeRawBufferPointer] = [:]
        do {
            var reader = try ByteReader(bytes, at: start)
            for key in keys {
                guard let key, let kind = kinds[key], storages[key] == nil else {
                    throw FileFailure.malformed(
                        file: file, reason: "its list of storages is not that of its tensors")
                }
                guard kind.width > 0 else {
                    throw FileFailure.unsupported(
                        file: file, found: "it has a storage of kind \(kind.name), whose size is not known",
                        advice: "load it with PyTorch and torch.save it again in today's format")
                }
                let (size, overflow) = try reader.int(Int64.self).multipliedReportingOverflow(by: kind.width)
                storages[key] = try reader.take(overflow ? -1 : size)
            }
        } catch is ByteReader.End {
            throw FileFailure.malformed(file: file, reason: "it ends within its storages; was it cut off?")
        }
        return storages
    }
}
