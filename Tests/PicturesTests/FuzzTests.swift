import Foundation
import Pictures
import TestSupport
import Testing

/// Damaged PNG files, with their checksums put right: otherwise these would refuse every damage before anything else is
/// looked at. `--init-image` reads the pixels, `--params-from` the text.
@Suite(.serialized) struct FuzzTests {
    struct RoundTripError: Error {}

    private static func corpus(_ folder: String) throws -> [[UInt8]] {
        let resources = try #require(Bundle.module.resourceURL)
        return try FuzzCampaign.corpus(folder: resources.appendingPathComponent("Fixtures/fuzz/" + folder).path)
    }

    @Test func files() throws {
        let campaign = FuzzCampaign(
            "png", corpus: try Self.corpus("png"), words: ["IDAT", "PLTE", "tRNS", "IEND", "iCCP", "gAMA", "\u{1}\u{0}"])
        campaign.check(3000, wrap: PNGBytes.withChecksums) { input in
            let bytes = Array(input.bytes)
            _ = try PNG.text(in: bytes, name: "fuzz")
            let bitmap = try PNG.decode(bytes, name: "fuzz")
            guard bitmap.pixels.count < 1000 else { return }
            guard try PNG.decode(PNG.encode(bitmap), name: "fuzz") == bitmap else { throw RoundTripError() }
        }
    }

    @Test func jpegs() throws {
        let campaign = FuzzCampaign(
            "jpeg", corpus: try Self.corpus("jpeg"), words: ["Exif\u{0}\u{0}", "II*\u{0}", "MM\u{0}*", "Adobe"])
        campaign.check(3000) { _ = try JPEG.decode(Array($0.bytes), name: "fuzz") }
    }

    @Test func webps() throws {
        let campaign = FuzzCampaign(
            "webp", corpus: try Self.corpus("webp"), words: ["RIFF", "WEBP", "VP8 ", "VP8L", "VP8X", "ALPH", "EXIF", "ANIM"])
        campaign.check(3000) { _ = try WebP.decode(Array($0.bytes), name: "fuzz") }
    }

    /// An input is a chunk's type and contents, in a sound file.
    @Test func texts() throws {
        let campaign = FuzzCampaign(
            "png text", corpus: try Self.corpus("text"), words: ["iTXt", "tEXt", "parameters", "\u{0}", "\u{0}\u{0}"])
        let plain = try PNG.encode(Bitmap(width: 1, height: 1, pixels: [1, 2, 3]))
        let wrap = { (input: [UInt8]) in
            let chunk = Array(input.prefix(4)) + [UInt8](repeating: 65, count: max(0, 4 - input.count)) + input.dropFirst(4)
            return PNGBytes.inserting(chunk, into: plain)
        }
        campaign.check(4000, wrap: wrap) { input in
            let bytes = Array(input.bytes)
            let entries = try PNG.text(in: bytes, name: "fuzz")
            _ = try PNG.decode(bytes, name: "fuzz")
            for entry in entries where entry.text.utf8.count < 500 {
                let again = PNGText("again", entry.text)
                let written = try PNG.encode(Bitmap(width: 1, height: 1, pixels: [1, 2, 3]), text: [again])
                guard try PNG.text(in: written, name: "fuzz") == [again] else { throw RoundTripError() }
            }
        }
    }
}

/// PNG files by hand.
enum PNGBytes {
    /// The bytes with the checksum of every chunk put right, as far as lengths make sense.
    static func withChecksums(_ file: [UInt8]) -> [UInt8] {
        var bytes = file
        var position = 8
        while bytes.count - position >= 12 {
            let length = bytes[position..<position + 4].reduce(0) { $0 << 8 | Int($1) }
            guard length <= bytes.count - position - 12 else { break }
            let end = position + 8 + length
            bytes.replaceSubrange(end..<end + 4, with: bigEndian(crc32(bytes[position + 4..<end])))
            position = end + 4
        }
        return bytes
    }

    /// A chunk (type and contents) behind the header, which is 33 bytes with the signature.
    static func inserting(_ chunk: [UInt8], into file: [UInt8]) -> [UInt8] {
        file[..<33] + bigEndian(UInt32(chunk.count - 4)) + chunk + bigEndian(crc32(chunk[...])) + file[33...]
    }

    static func bigEndian(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(24 - 8 * $0)) }
    }

    /// Four bits at a time, unlike the library's table.
    static func crc32(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        ~bytes.reduce(~UInt32(0)) { start, byte in
            let low = nibbles[Int((start ^ UInt32(byte)) & 15)] ^ (start >> 4)
            return nibbles[Int((low ^ UInt32(byte >> 4)) & 15)] ^ (low >> 4)
        }
    }

    private static let nibbles: [UInt32] = (0..<16).map { index in
        (0..<4).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1 }
    }
}
