import Files
import Foundation
import Pictures
import Testing

/// A picture whose pixels all differ from their neighbours.
func gradient(width: Int, height: Int) -> Bitmap {
    let pixels = (0..<width * height * 3).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ $0 / 7) }
    return Bitmap(width: width, height: height, pixels: pixels)
}

@Suite struct PNGTests {
    let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("lvo-pictures-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    @Test(arguments: [(1, 1), (3, 5), (64, 64), (257, 31)])
    func pixelsSurviveAFile(width: Int, height: Int) throws {
        let picture = gradient(width: width, height: height)
        let path = folder.appendingPathComponent("a.png").path
        try PNG.write(picture, to: path)
        #expect(try PNG.read(path).bitmap == picture)
        try FileManager.default.removeItem(at: folder)
    }

    @Test func textSurvivesInBothChunkKinds() throws {
        let text = [
            PNGText("parameters", "a café\nSteps: 20, Seed: 5"), PNGText("lvo", "größer 漢字 🙂"), PNGText("empty", ""),
        ]
        let bytes = try PNG.encode(gradient(width: 4, height: 4), text: text)
        #expect(try PNG.text(in: bytes, name: "t") == text)
        #expect(try PNG.decode(bytes, name: "t") == gradient(width: 4, height: 4))
        #expect(String(decoding: bytes, as: Unicode.ASCII.self).contains("iTXt"))
        #expect(String(decoding: bytes, as: Unicode.ASCII.self).contains("tEXt"))
    }

    @Test func nothingIsOverwrittenUnasked() throws {
        let path = folder.appendingPathComponent("b.png").path
        try PNG.write(gradient(width: 2, height: 2), to: path)
        let failure = #expect(throws: FileFailure.self) { try PNG.write(gradient(width: 3, height: 3), to: path) }
        #expect(failure?.kind == .cannotWrite)
        #expect(try PNG.read(path).bitmap.width == 2)
        try PNG.write(gradient(width: 3, height: 3), to: path, overwrite: true)
        #expect(try PNG.read(path).bitmap.width == 3)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["b.png"])
        try FileManager.default.removeItem(at: folder)
    }

    @Test func aFolderThatIsNotThereIsSaid() {
        let failure = #expect(throws: FileFailure.self) {
            try PNG.write(gradient(width: 2, height: 2), to: "/nonexistent/a.png")
        }
        #expect(failure?.kind == .cannotWrite)
        #expect(failure?.description.contains("/nonexistent/a.png") == true)
    }

    /// Every single-byte change and every cut of a small file gives a picture or an error, never a crash; a change
    /// inside a chunk is caught by its checksum.
    @Test func damageIsAnError() throws {
        let bytes = try PNG.encode(gradient(width: 5, height: 4), text: [PNGText("parameters", "x")])
        for length in 0..<bytes.count {
            #expect(throws: SimpleFailure.self) { try PNG.decode(Array(bytes[..<length]), name: "cut") }
        }
        for position in 0..<bytes.count {
            var damaged = bytes
            damaged[position] ^= 0x41
            #expect(throws: SimpleFailure.self) { try PNG.decode(damaged, name: "damaged") }
        }
    }

    @Test func hugeClaimsAreRefusedBeforeAllocating() throws {
        // The first was found by the campaign: the product of its sides once ended the program.
        for (width, height) in [(0xFFFF_FFFF, 0xFFFF_FFFF), (0x7FFF_FFFF, 0x7FFF_FFFF), (30_000, 4_000), (0, 5)] {
            let failure = #expect(throws: SimpleFailure.self) {
                try PNG.decode(claim(width: UInt32(width), height: UInt32(height)), name: "claim")
            }
            #expect(failure?.kind == .badData)
        }
    }

    /// Rows of less than a byte still take a byte and their filter's: a hundred million of them do not fit into a
    /// hundred bytes.
    @Test func manyRowsOfFewBitsAreRefusedBeforeAllocating() throws {
        let failure = #expect(throws: SimpleFailure.self) {
            try PNG.decode(claim(width: 1, height: 100_000_000, bits: 1), name: "claim")
        }
        #expect(failure?.description.contains("cannot hold") == true)
    }

    /// A file with a valid header of any size and no pixels to speak of; its checksums are right.
    private func claim(width: UInt32, height: UInt32, bits: UInt8 = 8) throws -> [UInt8] {
        var bytes = try PNG.encode(gradient(width: 1, height: 1))
        bytes.replaceSubrange(16..<25, with: PNGBytes.bigEndian(width) + PNGBytes.bigEndian(height) + [bits])
        // Colour type 0, grey: one of those that have rows of less than a byte.
        if bits < 8 { bytes[25] = 0 }
        return PNGBytes.withChecksums(bytes)
    }
}
