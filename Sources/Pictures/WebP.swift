import CWebP
import Files

/// WebP files, lossy and lossless, by libwebp.
package enum WebP {
    /// Lossless pictures of one colour take no bytes at all for their pixels: up to 4096×4096 any size is believed.
    private static let freePixels = 1 << 24
    private static let pixelsPerByte = 1024

    static func isOne(_ bytes: [UInt8]) -> Bool {
        bytes.starts(with: Array("RIFF".utf8)) && bytes.dropFirst(8).starts(with: Array("WEBP".utf8))
    }

    /// - Throws: `SimpleFailure(.badData)` that begins with `name`, also for an animation.
    package static func decode(_ bytes: [UInt8], name: String) throws -> Bitmap {
        var features = WebPBitstreamFeatures()
        guard WebPGetFeatures(bytes, bytes.count, &features) == VP8_STATUS_OK else {
            throw SimpleFailure(.badData, "\(name): libwebp cannot read its header; the file is damaged")
        }
        guard features.has_animation == 0 else {
            throw SimpleFailure(.badData, "\(name): an animated WebP; save one of its frames as a picture")
        }
        let (width, height) = (Int(features.width), Int(features.height))
        try PictureFile.checkSize(
            width: width, height: height, bytes: bytes.count, perByte: pixelsPerByte, free: freePixels, name: name)
        let channels = features.has_alpha != 0 ? 4 : 3
        var pixels = [UInt8](repeating: 0, count: width * height * channels)
        let decode = channels == 4 ? WebPDecodeRGBAInto : WebPDecodeRGBInto
        guard decode(bytes, bytes.count, &pixels, pixels.count, Int32(width * channels)) != nil else {
            throw SimpleFailure(.badData, "\(name): libwebp cannot read its pixels; the file is damaged")
        }
        let bitmap = channels == 4
            ? Bitmap(width: width, height: height, rgba: pixels) : Bitmap(width: width, height: height, pixels: pixels)
        return bitmap.turned(Exif.orientation(webp: bytes))
    }
}
