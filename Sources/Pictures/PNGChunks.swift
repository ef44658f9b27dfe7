import Files

/// One `keyword: text` entry of a PNG's metadata.
public struct PNGText: Sendable, Equatable {
    /// What the text is: `Software`, `parameters` …
    public let keyword: String
    /// The text itself.
    public let text: String

    /// Text under a keyword, which PNG wants of 1 to 79 Latin-1 characters.
    public init(_ keyword: String, _ text: String) {
        self.keyword = keyword
        self.text = text
    }
}

/// The chunk layer of PNG (length, type, data, CRC-32), walked and written here rather than by libpng, whose
/// interface for text leaves by `longjmp`, which must not cross Swift frames.
struct PNGChunk {
    let type: String
    let data: ArraySlice<UInt8>

    static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

    /// All chunks up to and including IEND.
    ///
    /// - Throws: `SimpleFailure(.badData)` that begins with `name`, for anything but well-formed chunks.
    static func parse(_ bytes: [UInt8], name: String) throws -> [PNGChunk] {
        guard bytes.starts(with: signature) else { throw SimpleFailure(.badData, "\(name): not a PNG file") }
        var chunks: [PNGChunk] = []
        var position = signature.count
        while chunks.last?.type != "IEND" {
            guard bytes.count - position >= 12 else { throw SimpleFailure(.badData, "\(name): PNG cut short") }
            let length = Int(bigEndian(bytes[position..<position + 4]))
            guard length <= bytes.count - position - 12 else {
                throw SimpleFailure(.badData, "\(name): PNG chunk of \(length) bytes reaches past the file's end")
            }
            let end = position + 8 + length
            let type = String(decoding: bytes[position + 4..<position + 8], as: Unicode.ASCII.self)
            guard CRC32.of(bytes[position + 4..<end]) == bigEndian(bytes[end..<end + 4]) else {
                throw SimpleFailure(.badData, "\(name): PNG chunk \(type) has a wrong checksum; the file is damaged")
            }
            chunks.append(PNGChunk(type: type, data: bytes[position + 8..<end]))
            position = end + 4
        }
        return chunks
    }

    static func bytes(_ type: String, _ data: some Collection<UInt8>) -> [UInt8] {
        let body = Array(type.utf8) + data
        return bigEndian(UInt32(data.count)) + body + bigEndian(CRC32.of(body))
    }

    static func bigEndian(_ value: UInt32) -> [UInt8] {
        [UInt8(value >> 24), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)]
    }

    static func bigEndian(_ bytes: some Sequence<UInt8>) -> UInt32 { bytes.reduce(0) { $0 << 8 | UInt32($1) } }
}

extension PNGText {
    /// tEXt where Latin-1 suffices (every reader knows it), else iTXt with UTF-8.
    var chunk: [UInt8] {
        let key = keyword.unicodeScalars.map { UInt8($0.value) }
        let scalars = text.unicodeScalars
        if scalars.allSatisfy({ $0.value < 256 && $0.value != 0 }) {
            return PNGChunk.bytes("tEXt", key + [0] + scalars.map { UInt8($0.value) })
        }
        // Flags: not compressed; no language; no translated keyword.
        return PNGChunk.bytes("iTXt", key + [0, 0, 0, 0, 0] + Array(text.utf8))
    }

    /// What the specification allows as keyword: 1–79 printable Latin-1 characters.
    var hasValidKeyword: Bool {
        let scalars = keyword.unicodeScalars
        return (1...79).contains(scalars.count)
            && scalars.allSatisfy { (32...126).contains($0.value) || (161...255).contains($0.value) }
    }

    /// The entry in a tEXt or uncompressed iTXt chunk; nil for other chunks and for compressed text, which programs
    /// that draw pictures do not write.
    init?(_ chunk: PNGChunk) {
        guard let separator = chunk.data.firstIndex(of: 0) else { return nil }
        let keyword = Self.latin1(chunk.data[..<separator])
        let rest = chunk.data[(separator + 1)...]
        switch chunk.type {
        case "tEXt": self.init(keyword, Self.latin1(rest))
        case "iTXt":
            let fields = rest.dropFirst(2).split(separator: 0, maxSplits: 2, omittingEmptySubsequences: false)
            guard rest.count >= 4, rest.first == 0, fields.count == 3 else { return nil }
            self.init(keyword, String(decoding: fields[2], as: UTF8.self))
        default: return nil
        }
    }

    private static func latin1(_ bytes: some Sequence<UInt8>) -> String {
        var text = String.UnicodeScalarView()
        text.append(contentsOf: bytes.map { Unicode.Scalar($0) })
        return String(text)
    }
}

/// CRC-32 as PNG and zlib define it (polynomial EDB88320, reflected).
enum CRC32 {
    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1 }
    }

    static func of(_ bytes: some Sequence<UInt8>) -> UInt32 {
        ~bytes.reduce(~UInt32(0)) { table[Int(($0 ^ UInt32($1)) & 255)] ^ ($0 >> 8) }
    }
}
