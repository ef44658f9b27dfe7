#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif
import Tensors

/// The random numbers of a PyTorch CPU generator, so that a seed means the picture that users know it for.
///
/// The generator is MT19937 seeded with the low 32 bits of the seed. What comes out depends on how many values one
/// call asks for: sixteen and more take the vectorized path of `torch.randn`, fewer the scalar one (PyTorch's
/// `normal_fill` and `normal_distribution<double>`). Agrees with PyTorch within 2·10⁻⁶.
public struct TorchGenerator: Sendable {
    private var twister: MersenneTwister
    /// The scalar path makes normals in pairs; the second one waits here, also across bulk draws.
    private var pending: Double?

    /// - Parameter seed: of which the low 32 bits count, as for `torch.manual_seed` on a CPU.
    public init(seed: UInt64) {
        twister = MersenneTwister(seed: UInt32(truncatingIfNeeded: seed))
    }

    /// `torch.rand(shape)`: uniform on [0, 1), multiples of 2⁻²⁴.
    public mutating func rand(_ shape: [Int]) -> Tensor {
        let tensor = Tensor(shape)
        fillUniform(tensor.pointer, count: tensor.count)
        return tensor
    }

    /// `torch.randn(shape)`: standard normal.
    public mutating func randn(_ shape: [Int]) -> Tensor {
        let tensor = Tensor(shape)
        if tensor.count < 16 {
            for i in 0..<tensor.count { tensor.pointer[i] = Float(nextNormal()) }
        } else {
            fillNormal(tensor.pointer, count: tensor.count)
        }
        return tensor
    }

    private mutating func fillUniform(_ values: UnsafeMutablePointer<Float>, count: Int) {
        for i in 0..<count { values[i] = Float(twister.next() & 0xFF_FFFF) * 0x1p-24 }
    }

    /// All uniforms first, then Box–Muller in blocks of sixteen. When `count` is not a multiple of sixteen, the last
    /// sixteen values are drawn anew and overwrite the tail.
    private mutating func fillNormal(_ values: UnsafeMutablePointer<Float>, count: Int) {
        fillUniform(values, count: count)
        for start in stride(from: 0, through: count - 16, by: 16) { Self.boxMuller16(values + start) }
        if count % 16 != 0 {
            fillUniform(values + count - 16, count: 16)
            Self.boxMuller16(values + count - 16)
        }
    }

    /// Eight pairs: `values[j]` gives the radius, `values[j + 8]` the angle.
    private static func boxMuller16(_ values: UnsafeMutablePointer<Float>) {
        for j in 0..<8 {
            let radius = (-2 * Float(log(Double(1 - values[j])))).squareRoot()
            // The angle is rounded to float32 before sine and cosine see it, as PyTorch does.
            let angle = Double(2 * Float.pi * values[j + 8])
            values[j] = radius * Float(cos(angle))
            values[j + 8] = radius * Float(sin(angle))
        }
    }

    private mutating func nextNormal() -> Double {
        if let value = pending {
            pending = nil
            return value
        }
        let angle = 2 * Double.pi * nextUniform53()
        let radius = (-2 * log1p(-nextUniform53())).squareRoot()
        pending = radius * sin(angle)
        return radius * cos(angle)
    }

    /// Two draws, the first being the high word; the low 53 bits count.
    private mutating func nextUniform53() -> Double {
        let high = UInt64(twister.next())
        let bits = high << 32 | UInt64(twister.next())
        return Double(bits & (1 << 53 - 1)) * 0x1p-53
    }
}

/// MT19937 (Matsumoto, Nishimura 1998).
struct MersenneTwister: Sendable {
    private static let size = 624
    private static let shift = 397
    private var state: [UInt32]
    private var position = size

    init(seed: UInt32) {
        state = [UInt32](repeating: seed, count: Self.size)
        for i in 1..<Self.size {
            state[i] = 1_812_433_253 &* (state[i - 1] ^ state[i - 1] >> 30) &+ UInt32(i)
        }
    }

    mutating func next() -> UInt32 {
        if position == Self.size { renew() }
        var y = state[position]
        position += 1
        y ^= y >> 11
        y ^= y << 7 & 0x9D2C_5680
        y ^= y << 15 & 0xEFC6_0000
        return y ^ y >> 18
    }

    private mutating func renew() {
        for i in 0..<Self.size {
            let y = state[i] & 0x8000_0000 | state[(i + 1) % Self.size] & 0x7FFF_FFFF
            state[i] = state[(i + Self.shift) % Self.size] ^ y >> 1 ^ (y & 1 == 0 ? 0 : 0x9908_B0DF)
        }
        position = 0
    }
}
