import Tensors

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A transformation that what a latent shows should survive: a cyclic roll, then a rotation and enlargement about the
/// centre.
public struct Augmentation: Sendable, Equatable {
    /// Places along H and W.
    public var rollY = 0
    /// Places along W, to the right.
    public var rollX = 0
    /// Degrees.
    public var angle = 0.0
    /// Enlargement.
    public var scale = 1.0
    /// Whether the warp is applied; a warp by 0° and 1 is the identity but for rounding.
    public var warps = false

    /// Leaves a latent as it is.
    public static let identity = Augmentation()

    /// - Parameters:
    ///   - rollY, rollX: places along H and W.
    ///   - angle: degrees.
    ///   - scale: enlargement.
    ///   - warps: whether rotation and enlargement are applied.
    public init(rollY: Int = 0, rollX: Int = 0, angle: Double = 0, scale: Double = 1, warps: Bool = false) {
        self.rollY = rollY
        self.rollX = rollX
        self.angle = angle
        self.scale = scale
        self.warps = warps
    }

    /// - Parameter latent: `[B, C, H, W]`
    public func apply(_ latent: Tensor) -> Tensor {
        let rolled = Self.roll(latent, y: rollY, x: rollX)
        guard warps else { return rolled }
        return AffineWarp(angle: angle, scale: scale, height: latent.shape[2], width: latent.shape[3]).apply(rolled)
    }

    /// The vector-Jacobian product: the gradient before the augmentation from the one after it.
    public func backwardInput(_ gradient: Tensor) -> Tensor {
        var gradient = gradient
        if warps {
            let (height, width) = (gradient.shape[2], gradient.shape[3])
            gradient = AffineWarp(angle: angle, scale: scale, height: height, width: width).backwardInput(gradient)
        }
        return Self.roll(gradient, y: -rollY, x: -rollX)
    }

    /// `result[y + dy, x + dx] = maps[y, x]`, cyclic: `torch.roll`.
    static func roll(_ maps: Tensor, y dy: Int, x dx: Int) -> Tensor {
        if dy == 0 && dx == 0 { return maps }
        let (height, width) = (maps.shape[2], maps.shape[3])
        let result = Tensor(maps.shape)
        for row in 0..<maps.count / width {
            let (plane, y) = (row / height, row % height)
            let target = result.pointer + (plane * height + modulo(y + dy, height)) * width
            let source = maps.pointer + row * width
            for x in 0..<width { target[modulo(x + dx, width)] = source[x] }
        }
        return result
    }

    private static func modulo(_ i: Int, _ n: Int) -> Int { ((i % n) + n) % n }
}

/// torchvision's `affine` without translation and shear, bilinear, zeros outside. An output pixel at (x, y) from the
/// centre ((W−1)/2, (H−1)/2) is read at x' = (cosθ·x + sinθ·y)/s, y' = (−sinθ·x + cosθ·y)/s.
struct AffineWarp {
    private let size: Int
    /// Per output pixel, up to four source pixels and their shares.
    private let taps: [(target: Int, source: Int, share: Float)]

    init(angle: Double, scale: Double, height: Int, width: Int) {
        size = height * width
        let radians = angle * .pi / 180
        let (c, s) = (cos(radians) / scale, sin(radians) / scale)
        let (centerX, centerY) = (Double(width - 1) / 2, Double(height - 1) / 2)
        var taps: [(target: Int, source: Int, share: Float)] = []
        taps.reserveCapacity(4 * size)
        for target in 0..<size {
            let (x, y) = (Double(target % width) - centerX, Double(target / width) - centerY)
            let (sourceX, sourceY) = (c * x + s * y + centerX, -s * x + c * y + centerY)
            let (left, top) = (sourceX.rounded(.down), sourceY.rounded(.down))
            for (dy, dx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let (row, column) = (Int(top) + dy, Int(left) + dx)
                guard (0..<height).contains(row), (0..<width).contains(column) else { continue }
                let share = (1 - abs(sourceY - Double(row))) * (1 - abs(sourceX - Double(column)))
                taps.append((target, row * width + column, Float(share)))
            }
        }
        self.taps = taps
    }

    func apply(_ maps: Tensor) -> Tensor {
        let result = Tensor.zeros(maps.shape)
        for start in stride(from: 0, to: maps.count, by: size) {
            let (source, target) = (maps.pointer + start, result.pointer + start)
            for tap in taps { target[tap.target] += tap.share * source[tap.source] }
        }
        return result
    }

    /// The transpose: scatters with the same shares.
    func backwardInput(_ gradient: Tensor) -> Tensor {
        let result = Tensor.zeros(gradient.shape)
        for start in stride(from: 0, to: gradient.count, by: size) {
            let (source, target) = (gradient.pointer + start, result.pointer + start)
            for tap in taps { target[tap.source] += tap.share * source[tap.target] }
        }
        return result
    }
}
