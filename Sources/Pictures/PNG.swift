import CPNG
import Files

/// PNG files: pixels by libpng's simplified interface (its errors are return values), metadata by our own chunk walker.
public enum PNG {
    /// Larger pictures are refused before memory is taken for them.
    public static let pixelLimit = 1 << 27

    /// The bytes of a PNG file, 8-bit RGB, with the metadata before the pixels.
    ///
    /// - Throws: `SimpleFailure(.internalError)` if libpng refuses.
    public static func encode(_ bitmap: Bitmap, text: [PNGText] = []) throws -> [UInt8] {
        let plain = try compress(bitmap)
        guard !text.isEmpty else { return plain }
        // The signature is 8 bytes and IHDR, always first, 25.
        let headerEnd = 33
        precondition(text.allSatisfy(\.hasValidKeyword), "PNG keywords \(text.map(\.keyword))")
        return plain[..<headerEnd] + text.flatMap(\.chunk) + plain[headerEnd...]
    }

    /// Writes a PNG file (temporary name, then rename).
    ///
    /// - Throws: `SimpleFailure(.cannotWrite)` as `OutputFile.write` does.
    public static func write(
        _ bitmap: Bitmap, text: [PNGText] = [], to path: String, overwrite: Bool = false
    ) throws {
        try OutputFile.write(encode(bitmap, text: text), to: path, overwrite: overwrite)
    }

    /// The largest file that is read, in bytes.
    private static let fileLimit = 1 << 30

    /// Pixels and metadata of a PNG file of any kind; transparency is laid over white.
    ///
    /// - Throws: `SimpleFailure` with `.missingInput` or `.badData`.
    public static func read(_ path: String) throws -> (bitmap: Bitmap, text: [PNGText]) {
        let bytes = try MappedFile.contents(of: path, limit: fileLimit)
        return (try decode(bytes, name: path), try text(in: bytes, name: path))
    }

    /// The metadata of a PNG file, without decoding its pixels.
    ///
    /// - Throws: `SimpleFailure` with `.missingInput` or `.badData`.
    public static func text(_ path: String) throws -> [PNGText] {
        try text(in: MappedFile.contents(of: path, limit: fileLimit), name: path)
    }

    /// The metadata alone (tEXt and iTXt), in file order.
    ///
    /// - Throws: `SimpleFailure(.badData)` that begins with `name`.
    public static func text(in bytes: [UInt8], name: String) throws -> [PNGText] {
        try PNGChunk.parse(bytes, name: name).compactMap(PNGText.init)
    }

    /// The pixels of a PNG file in memory.
    ///
    /// - Throws: `SimpleFailure(.badData)` that begins with `name`.
    public static func decode(_ bytes: [UInt8], name: String) throws -> Bitmap {
        let chunks = try PNGChunk.parse(bytes, name: name)
        try checkSize(bytes, chunks, name: name)
        let orientation = chunks.first { $0.type == "eXIf" }.map { Exif.orientation(tiff: $0.data) } ?? 1
        return try pixels(bytes, name: name).turned(orientation)
    }

    private static func pixels(_ bytes: [UInt8], name: String) throws -> Bitmap {
        var image = emptyImage()
        defer { png_image_free(&image) }
        return try bytes.withUnsafeBytes { file in
            guard png_image_begin_read_from_memory(&image, file.baseAddress, file.count) != 0 else {
                throw SimpleFailure(.badData, "\(name): \(message(image))")
            }
            // libpng would lay transparency over a colour in linear light; other programs, and WebP's reader here, do not.
            let hasAlpha = image.format & UInt32(PNG_FORMAT_FLAG_ALPHA) != 0
            image.format = UInt32(PNG_FORMAT_FLAG_COLOR) | (hasAlpha ? UInt32(PNG_FORMAT_FLAG_ALPHA) : 0)
            // 16-bit files come from the same programs as 8-bit ones: sRGB, not linear light.
            image.flags |= UInt32(PNG_IMAGE_FLAG_16BIT_sRGB)
            let (width, height) = (Int(image.width), Int(image.height))
            var pixels = [UInt8](repeating: 0, count: width * height * (hasAlpha ? 4 : 3))
            guard png_image_finish_read(&image, nil, &pixels, 0, nil) != 0 else {
                throw SimpleFailure(.badData, "\(name): \(message(image))")
            }
            return hasAlpha
                ? Bitmap(width: width, height: height, rgba: pixels) : Bitmap(width: width, height: height, pixels: pixels)
        }
    }

    /// Deflate shrinks at most 1032-fold, so a small file that claims a huge picture is a lie found before allocating.
    private static func checkSize(_ bytes: [UInt8], _ chunks: [PNGChunk], name: String) throws {
        guard let header = chunks.first, header.type == "IHDR", header.data.count == 13 else {
            throw SimpleFailure(.badData, "\(name): PNG without a header")
        }
        let start = header.data.startIndex
        let width = Int(PNGChunk.bigEndian(header.data[start..<start + 4]))
        let height = Int(PNGChunk.bigEndian(header.data[start + 4..<start + 8]))
        // Each side first: their product could exceed 64 bits.
        guard (1...pixelLimit).contains(width), (1...pixelLimit).contains(height), width * height <= pixelLimit else {
            throw SimpleFailure(.badData, "\(name): a picture of \(width)×\(height) is not supported")
        }
        // A row is its filter's number and at least one sample a pixel, in whole bytes.
        let row = 1 + (width * Int(header.data[start + 8]) + 7) / 8
        guard height * row <= bytes.count * 1032 else {
            throw SimpleFailure(.badData, "\(name): \(bytes.count) bytes cannot hold \(width)×\(height) pixels")
        }
    }

    private static func compress(_ bitmap: Bitmap) throws -> [UInt8] {
        var image = emptyImage()
        defer { png_image_free(&image) }
        image.width = UInt32(bitmap.width)
        image.height = UInt32(bitmap.height)
        image.format = UInt32(PNG_FORMAT_FLAG_COLOR)
        // PNG_IMAGE_PNG_SIZE_MAX, a macro too complex for the importer: zlib's worst case and the chunk headers.
        let raw = bitmap.height * (bitmap.width * 3 + 1)
        var size = raw + raw >> 12 + raw >> 14 + raw >> 25 + 4096
        size += size / 1000
        var bytes = [UInt8](repeating: 0, count: size)
        guard png_image_write_to_memory(&image, &bytes, &size, 0, bitmap.pixels, 0, nil) != 0 else {
            throw SimpleFailure(.internalError, "PNG of \(bitmap.width)×\(bitmap.height): \(message(image))")
        }
        return Array(bytes[..<size])
    }

    private static func emptyImage() -> png_image {
        var image = png_image()
        image.version = UInt32(PNG_IMAGE_VERSION)
        return image
    }

    private static func message(_ image: png_image) -> String {
        withUnsafeBytes(of: image.message) { "libpng: " + String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}
