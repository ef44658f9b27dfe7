import Files

/// A picture in any format that is read: PNG, JPEG, WebP, told apart by the first bytes, not by the name.
public enum PictureFile {
    /// The largest file that is read, in bytes.
    static let byteLimit = 1 << 30

    /// The pixels, upright (Exif's orientation is honoured); transparency is laid over white.
    ///
    /// - Throws: `SimpleFailure` with `.missingInput`, or `.badData` for another format, a damaged file or a picture of
    ///   more than `PNG.pixelLimit` pixels.
    public static func read(_ path: String) throws -> Bitmap {
        try decode(MappedFile.contents(of: path, limit: byteLimit), name: path)
    }

    /// The same of a file in memory; errors begin with `name`.
    public static func decode(_ bytes: [UInt8], name: String) throws -> Bitmap {
        if bytes.starts(with: PNGChunk.signature) { return try PNG.decode(bytes, name: name) }
        if JPEG.isOne(bytes) { return try JPEG.decode(bytes, name: name) }
        if WebP.isOne(bytes) { return try WebP.decode(bytes, name: name) }
        let format = foreign.first { bytes.dropFirst($0.offset).starts(with: $0.start.utf8) }?.name ?? "of unknown format"
        throw SimpleFailure(.badData, "\(name): the picture is \(format); PNG, JPEG and WebP are read")
    }

    private static let foreign: [(offset: Int, start: String, name: String)] = [
        (0, "GIF8", "a GIF"), (0, "BM", "a BMP"), (0, "II*\0", "a TIFF"), (0, "MM\0*", "a TIFF"),
        (4, "ftypavif", "an AVIF"), (4, "ftypheic", "a HEIC"), (4, "ftypmif1", "a HEIC"), (4, "JXL ", "a JPEG XL"),
        (4, "jP  ", "a JPEG 2000"), (0, "<svg", "an SVG"),
        (0, "version https://git-lfs", "a Git LFS pointer (`git lfs pull` fetches the contents)"),
        (0, "<!DOCTYPE", "a web page"), (0, "<html", "a web page"),
    ]

    /// A small file that claims a huge picture is a lie, or a bomb, found before memory is taken.
    ///
    /// - Parameters:
    ///   - perByte: how many pixels a byte can hold.
    ///   - free: pixels that are believed of any file.
    static func checkSize(
        width: Int, height: Int, bytes: Int, perByte: Int, free: Int = 0, name: String
    ) throws(SimpleFailure) {
        guard (1...PNG.pixelLimit).contains(width), (1...PNG.pixelLimit).contains(height),
            width * height <= PNG.pixelLimit
        else { throw SimpleFailure(.badData, "\(name): a picture of \(width)×\(height) is not supported") }
        guard width * height <= max(free, bytes * perByte) else {
            throw SimpleFailure(.badData, "\(name): \(bytes) bytes cannot hold \(width)×\(height) pixels")
        }
    }
}
