import CJPEG
import Files

/// JPEG files, by TurboJPEG's interface, whose errors are return values.
package enum JPEG {
    /// A uniform progressive picture has some 340 pixels a byte.
    private static let pixelsPerByte = 1024
    /// Programs write about ten; each scan goes through the whole picture.
    private static let scanLimit = 64

    static func isOne(_ bytes: [UInt8]) -> Bool { bytes.starts(with: [0xFF, 0xD8, 0xFF]) }

    /// - Throws: `SimpleFailure(.badData)` that begins with `name`, also for a file that is cut short.
    package static func decode(_ bytes: [UInt8], name: String) throws -> Bitmap {
        let scans = zip(bytes, bytes.dropFirst()).reduce(0) { $0 + ($1.0 == 0xFF && $1.1 == 0xDA ? 1 : 0) }
        guard scans <= scanLimit else { throw SimpleFailure(.badData, "\(name): a JPEG of \(scans) scans") }
        guard let decoder = tjInitDecompress() else {
            throw SimpleFailure(.internalError, "\(name): libjpeg-turbo cannot begin")
        }
        defer { tjDestroy(decoder) }
        func failure() -> SimpleFailure {
            let reason = tjGetErrorStr2(decoder).map { String(cString: $0) } ?? "unknown error"
            return SimpleFailure(.badData, "\(name): libjpeg-turbo: \(reason)")
        }
        var (width, height, sampling, space): (Int32, Int32, Int32, Int32) = (0, 0, 0, 0)
        guard tjDecompressHeader3(decoder, bytes, UInt(bytes.count), &width, &height, &sampling, &space) == 0 else {
            throw failure()
        }
        try PictureFile.checkSize(
            width: Int(width), height: Int(height), bytes: bytes.count, perByte: pixelsPerByte, name: name)
        let isCMYK = space == TJCS_CMYK.rawValue || space == TJCS_YCCK.rawValue
        let format = isCMYK ? TJPF_CMYK : TJPF_RGB
        var pixels = [UInt8](repeating: 0, count: Int(width) * Int(height) * (isCMYK ? 4 : 3))
        func decompress(_ flags: Int32) -> Bool {
            tjDecompress2(
                decoder, bytes, UInt(bytes.count), &pixels, width, 0, height, Int32(format.rawValue),
                flags | Int32(TJFLAG_LIMITSCANS)) == 0
        }
        if !decompress(Int32(TJFLAG_STOPONWARNING)) {
            // Some cameras leave bytes between the pixels and the end marker, which all programs skip.
            let first = failure()
            guard first.description.contains("extraneous bytes before marker 0xd9"),
                decompress(0) || tjGetErrorCode(decoder) == TJERR_WARNING.rawValue
            else { throw first }
        }
        let bitmap = Bitmap(width: Int(width), height: Int(height), pixels: isCMYK ? rgb(cmyk: pixels) : pixels)
        return bitmap.turned(Exif.orientation(jpeg: bytes))
    }

    /// Adobe's programs, and so all others, store ink inverted: 255 is none.
    private static func rgb(cmyk: [UInt8]) -> [UInt8] {
        var pixels: [UInt8] = []
        pixels.reserveCapacity(cmyk.count / 4 * 3)
        for i in stride(from: 0, to: cmyk.count, by: 4) {
            let key = Int(cmyk[i + 3])
            for ink in cmyk[i..<i + 3] { pixels.append(UInt8((Int(ink) * key + 127) / 255)) }
        }
        return pixels
    }
}
