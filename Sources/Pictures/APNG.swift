import Files

/// Animated PNG: every browser shows it, every PNG reader shows its first frame, and it keeps full colour where GIF
/// has 256. The frames are PNG files whose pixel streams are wrapped again under the animation's chunk names.
public enum APNG {
    /// The bytes of an animation.
    ///
    /// - Parameters:
    ///   - frames: at least one, all of one size.
    ///   - milliseconds: how long each frame stands.
    ///   - lastMilliseconds: how long the last one stands.
    /// - Throws: `SimpleFailure(.internalError)` if libpng refuses.
    public static func encode(
        _ frames: [Bitmap], milliseconds: Int, lastMilliseconds: Int, text: [PNGText] = []
    ) throws -> [UInt8] {
        precondition(!frames.isEmpty, "an animation needs a frame")
        precondition(frames.allSatisfy { ($0.width, $0.height) == (frames[0].width, frames[0].height) }, "frame sizes")
        var bytes = PNGChunk.signature
        var sequence: UInt32 = 0
        for (index, frame) in frames.enumerated() {
            let chunks = try PNGChunk.parse(PNG.encode(frame), name: "frame \(index)")
            if index == 0 {
                bytes += PNGChunk.bytes("IHDR", chunks[0].data)
                bytes += PNGChunk.bytes("acTL", PNGChunk.bigEndian(UInt32(frames.count)) + [0, 0, 0, 0])
                bytes += text.flatMap(\.chunk)
            }
            let delay = index == frames.count - 1 ? lastMilliseconds : milliseconds
            bytes += PNGChunk.bytes("fcTL", control(frame, sequence: sequence, milliseconds: delay))
            sequence += 1
            for chunk in chunks where chunk.type == "IDAT" {
                guard index > 0 else {
                    bytes += PNGChunk.bytes("IDAT", chunk.data)
                    continue
                }
                bytes += PNGChunk.bytes("fdAT", PNGChunk.bigEndian(sequence) + chunk.data)
                sequence += 1
            }
        }
        return bytes + PNGChunk.bytes("IEND", [])
    }

    /// Writes an animation (temporary name, then rename).
    ///
    /// - Throws: as `encode`, and `SimpleFailure(.cannotWrite)`.
    public static func write(
        _ frames: [Bitmap], milliseconds: Int, lastMilliseconds: Int, text: [PNGText] = [], to path: String,
        overwrite: Bool = false
    ) throws {
        let bytes = try encode(frames, milliseconds: milliseconds, lastMilliseconds: lastMilliseconds, text: text)
        try OutputFile.write(bytes, to: path, overwrite: overwrite)
    }

    /// Frame control: sequence number, size, offset 0, delay as a fraction of a second, no disposal, no blending.
    private static func control(_ frame: Bitmap, sequence: UInt32, milliseconds: Int) -> [UInt8] {
        let numbers = [sequence, UInt32(frame.width), UInt32(frame.height), 0, 0]
        let delay = UInt16(clamping: milliseconds)
        return numbers.flatMap { PNGChunk.bigEndian($0) }
            + [UInt8(delay >> 8), UInt8(delay & 255), UInt8(1000 >> 8), UInt8(1000 & 255), 0, 0]
    }
}
