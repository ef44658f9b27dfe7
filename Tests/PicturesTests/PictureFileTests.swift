import Files
import Foundation
import Pictures
import TestSupport
import Testing

/// Pictures that people start from, against Pillow (`tools/goldens/pictures.py`).
@Suite struct PictureFileTests {
    private static func path(_ name: String) throws -> String {
        let resources = try #require(Bundle.module.resourceURL)
        return resources.appendingPathComponent("Fixtures/formats/" + name).path
    }

    /// Colour halved and whole, grey, inked, lossy, lossless, transparent, held in eight ways.
    @Test(
        arguments: ["halved.jpg", "progressive.jpg", "grey.jpg", "cmyk.jpg", "lossy.webp", "lossless.webp", "alpha.webp",
            "lossy-alpha.webp", "turned.webp", "alpha.png", "palette.png", "deep.png",
            "turned.png"] + (1...8).map { "turned\($0).jpg" })
    func pixelsArePillows(_ name: String) throws {
        let ours = try PictureFile.read(Self.path(name))
        let reference = try PNG.read(Self.path(name + ".png")).bitmap
        #expect(ours.width == reference.width && ours.height == reference.height)
        let worst = zip(ours.pixels, reference.pixels).map { abs(Int($0) - Int($1)) }.max()
        // Inks are multiplied in another order of rounding.
        #expect(try #require(worst) <= (name == "cmyk.jpg" ? 1 : 0))
    }

    @Test func theFirstBytesTellTheFormat() throws {
        let folder = try TemporaryFolder()
        let bytes = try Data(contentsOf: URL(fileURLWithPath: Self.path("grey.jpg")))
        let misnamed = try folder.write("really-a-jpeg.png", [UInt8](bytes))
        #expect(try PictureFile.read(misnamed) == PictureFile.read(Self.path("grey.jpg")))
        #expect(try PictureFile.read(Self.path("grey.jpg.png")).width == 37)
    }

    @Test func whatIsNotReadIsCalledByItsName() throws {
        for (file, word) in [("small.gif", "a GIF"), ("animated.webp", "animated WebP")] {
            let failure = #expect(throws: SimpleFailure.self) { try PictureFile.read(Self.path(file)) }
            #expect(failure?.description.contains(word) == true)
        }
        #expect(throws: SimpleFailure.self) { try PictureFile.decode(Array("text".utf8), name: "t") }
        #expect(throws: SimpleFailure.self) { try PictureFile.decode([], name: "t") }
    }

    @Test(arguments: ["progressive.jpg", "cmyk.jpg", "lossy.webp", "lossless.webp"])
    func filesCutShortAreErrors(_ name: String) throws {
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: Self.path(name))))
        for length in stride(from: 0, to: bytes.count - 2, by: 7) {
            #expect(throws: SimpleFailure.self) { try PictureFile.decode(Array(bytes[..<length]), name: "cut") }
        }
    }

    /// Bytes between the pixels and the end, and fill bytes before a marker.
    @Test func whatCamerasLeaveInAJPEGIsSkipped() throws {
        let name = "turned6.jpg"
        let plain = try PictureFile.read(Self.path(name))
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: Self.path(name))))
        let trailing = bytes.dropLast(2) + [0x12, 0x34] + bytes.suffix(2)
        #expect(try PictureFile.decode(Array(trailing), name: "trailing") == plain)
        #expect(try PictureFile.decode(Array(bytes[..<2] + [0xFF, 0xFF] + bytes[2...]), name: "filled") == plain)
        #expect(throws: SimpleFailure.self) { try PictureFile.decode(bytes.dropLast(2) + [0x12, 0x34], name: "cut") }
    }

    /// The sizes stand in JPEG's frame header (SOF0, five bytes in), in a lossy WebP's 26th byte.
    @Test func hugeClaimsAreRefusedBeforeAllocating() throws {
        var jpeg = [UInt8](try Data(contentsOf: URL(fileURLWithPath: Self.path("grey.jpg"))))
        let frame = try #require(jpeg.firstRange(of: [0xFF, 0xC0]))
        jpeg.replaceSubrange(frame.lowerBound + 5..<frame.lowerBound + 9, with: [0xFF, 0x00, 0xFF, 0x00])
        var webp = [UInt8](try Data(contentsOf: URL(fileURLWithPath: Self.path("lossy.webp"))))
        webp.replaceSubrange(26..<30, with: [0xFF, 0x3F, 0xFF, 0x1F])
        for bytes in [jpeg, webp] {
            let failure = #expect(throws: SimpleFailure.self) { try PictureFile.decode(bytes, name: "claim") }
            #expect(failure?.kind == .badData)
        }
    }
}
