import Tensors

/// How float values of a picture become 8 bits.
public enum DisplayRange: String, Sendable, CaseIterable {
    /// (x + 1)/2, clamped to 0…1: what a VAE's decoder means by its numbers.
    case unit
    /// A batch's minimum…maximum stretched to 0…1, as the paper's code displays its results.
    case stretch
}

/// An 8-bit RGB picture, rows from the top, three bytes per pixel.
public struct Bitmap: Sendable, Equatable {
    /// Columns of pixels.
    public let width: Int
    /// Rows of pixels.
    public let height: Int
    /// `height · width · 3` bytes.
    public var pixels: [UInt8]

    /// - Precondition: `pixels` has three bytes a pixel.
    public init(width: Int, height: Int, pixels: [UInt8]) {
        precondition(width > 0 && height > 0, "picture of \(width)×\(height)")
        precondition(pixels.count == width * height * 3, "\(pixels.count) bytes for \(width)×\(height) RGB")
        self.width = width
        self.height = height
        self.pixels = pixels
    }

    /// A picture with transparency, not premultiplied, laid over white.
    init(width: Int, height: Int, rgba: [UInt8]) {
        var pixels = [UInt8](repeating: 0, count: width * height * 3)
        for i in 0..<width * height {
            let alpha = Int(rgba[4 * i + 3])
            for c in 0..<3 {
                pixels[3 * i + c] = UInt8((Int(rgba[4 * i + c]) * alpha + 255 * (255 - alpha) + 127) / 255)
            }
        }
        self.init(width: width, height: height, pixels: pixels)
    }

    /// A picture of one colour.
    public init(width: Int, height: Int, red: UInt8, green: UInt8, blue: UInt8) {
        let count = width * height
        let pixels = [UInt8](unsafeUninitializedCapacity: count * 3) { buffer, initialized in
            for i in 0..<count {
                buffer[3 * i] = red
                buffer[3 * i + 1] = green
                buffer[3 * i + 2] = blue
            }
            initialized = count * 3
        }
        self.init(width: width, height: height, pixels: pixels)
    }

    /// The pictures of a decoded batch.
    ///
    /// - Parameters:
    ///   - images: `[B, H, W, 3]`, or `[H, W, 3]` for one, nominally in −1…1. NaN becomes 0.
    ///   - range: `.stretch` takes one minimum and maximum over the whole batch.
    public static func pictures(_ images: Tensor, range: DisplayRange = .unit) -> [Bitmap] {
        let shape = images.shape.count == 3 ? [1] + images.shape : images.shape
        precondition(shape.count == 4 && shape[3] == 3, "pictures need [B,H,W,3] or [H,W,3], got \(images.shape)")
        let (scale, shift) = displayScale(images, range: range)
        let size = shape[1] * shape[2] * 3
        return (0..<shape[0]).map { sample in
            let source = images.pointer + sample * size
            let pixels = [UInt8](unsafeUninitializedCapacity: size) { buffer, initialized in
                for i in 0..<size {
                    // max(0, NaN) is 0 in this argument order, so that a diverged picture is black and not a trap.
                    let value = min(255, max(0, (source[i] * scale + shift) * 255))
                    buffer[i] = value.isNaN ? 0 : UInt8(value.rounded(.toNearestOrEven))
                }
                initialized = size
            }
            return Bitmap(width: shape[2], height: shape[1], pixels: pixels)
        }
    }

    /// x · scale + shift lies in 0…1 for the values to be shown.
    private static func displayScale(_ images: Tensor, range: DisplayRange) -> (scale: Float, shift: Float) {
        guard range == .stretch else { return (0.5, 0.5) }
        var (low, high) = (Float.infinity, -Float.infinity)
        for i in 0..<images.count {
            low = min(low, images.pointer[i])
            high = max(high, images.pointer[i])
        }
        guard high > low, low.isFinite, high.isFinite else { return (0.5, 0.5) }
        return (1 / (high - low), -low / (high - low))
    }

    /// `[1, H, W, 3]` with 0…255 as −1…1: what a VAE's encoder takes.
    public func tensor() -> Tensor {
        let tensor = Tensor([1, height, width, 3])
        for i in 0..<pixels.count { tensor.pointer[i] = Float(pixels[i]) / 127.5 - 1 }
        return tensor
    }

    /// A rectangle of the picture.
    ///
    /// - Precondition: it lies inside.
    public func part(x: Int, y: Int, width: Int, height: Int) -> Bitmap {
        precondition(
            x >= 0 && y >= 0 && width > 0 && height > 0 && x + width <= self.width && y + height <= self.height,
            "\(width)×\(height) at \(x),\(y) of \(self.width)×\(self.height)")
        var part = Bitmap(width: width, height: height, red: 0, green: 0, blue: 0)
        part.draw(self, x: -x, y: -y)
        return part
    }

    /// Copies `other` so that its top left pixel lies at (`x`, `y`); what falls outside is left away.
    public mutating func draw(_ other: Bitmap, x: Int, y: Int) {
        let (left, top) = (max(0, -x), max(0, -y))
        let columns = left..<max(left, min(other.width, width - x))
        for row in top..<max(top, min(other.height, height - y)) {
            let source = (row * other.width + columns.lowerBound) * 3
            let target = ((y + row) * width + x + columns.lowerBound) * 3
            pixels.replaceSubrange(
                target..<target + columns.count * 3, with: other.pixels[source..<source + columns.count * 3])
        }
    }
}
