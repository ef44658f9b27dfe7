#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What a random draw is for. Draws of different purposes are independent under one seed.
/// Raw values are part of what a recorded seed means: they never change, new ones are added at the end.
public enum RandomPurpose: UInt64, Sendable {
    case noise = 1
    case jitter = 2
    case rotation = 3
    case scale = 4
    case start = 5
    case initialization = 6
    case shuffle = 7
    case selection = 8
    case timestep = 9
    case redraw = 10
    case pool = 11
}

/// Random numbers without a state: each draw is a function of (seed, purpose, unit, step, index) alone, so that a
/// result depends neither on what was drawn before it, nor on threads, nor on how work is split into shards.
///
/// The generator is Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3, 2011):
/// counter-based by construction, passes BigCrush, and has published known answers, which a hash of one's own has
/// not. The counter holds (index ÷ 4, step); the key is a SplitMix64 mix of seed, purpose and unit, since 128 + 64
/// bits do not hold all five.
///
/// `index` must be below 2⁴⁸. Use one kind of draw per stream: `uniform(i)` and `normal(i)` come from the same bits.
public struct CounterRandom: Sendable {
    private let key: (UInt32, UInt32)
    private let step: UInt64

    /// A stream of draws.
    ///
    /// - Parameters:
    ///   - unit: tells apart what is drawn for, such as features.
    ///   - step: tells apart steps of one computation.
    public init(seed: UInt64, purpose: RandomPurpose, unit: UInt64 = 0, step: UInt64 = 0) {
        var mixed = Self.splitMix(seed)
        mixed = Self.splitMix(mixed ^ purpose.rawValue)
        mixed = Self.splitMix(mixed ^ unit)
        key = (UInt32(truncatingIfNeeded: mixed), UInt32(truncatingIfNeeded: mixed >> 32))
        self.step = step
    }

    /// The stream of another step.
    public func at(step: UInt64) -> CounterRandom { CounterRandom(key: key, step: step) }

    private init(key: (UInt32, UInt32), step: UInt64) {
        self.key = key
        self.step = step
    }

    /// 32 random bits.
    public func bits(_ index: Int) -> UInt32 { block(index >> 2)[index & 3] }

    /// Uniform on [0, 1): a multiple of 2⁻²⁴.
    public func uniform(_ index: Int) -> Float { Float(bits(index) >> 8) * 0x1p-24 }

    /// Uniform on `range`.
    public func uniform(_ index: Int, in range: ClosedRange<Float>) -> Float {
        range.lowerBound + uniform(index) * (range.upperBound - range.lowerBound)
    }

    /// A uniform integer of `range` (at most 2³² values), without bias: Lemire's multiplication with rejection
    /// (2019); each attempt has counters of its own, so the draw still depends on `index` alone.
    public func integer(_ index: Int, in range: ClosedRange<Int>) -> Int {
        let span = UInt64(range.upperBound - range.lowerBound) + 1
        precondition(span <= 1 << 32, "range \(range) has more than 2^32 values")
        let rejected = (1 << 32) % span
        var attempt = 0
        while true {
            let product = UInt64(block(index >> 2, attempt: attempt)[index & 3]) * span
            if product & 0xFFFF_FFFF >= rejected { return range.lowerBound + Int(product >> 32) }
            attempt += 1
        }
    }

    /// Standard normal (Box–Muller in double precision, rounded to float32).
    public func normal(_ index: Int) -> Float { normals(of: block(index >> 2))[index & 3] }

    /// `count` standard normals: `pointer[i] = normal(first + i)`.
    public func fillNormal(_ pointer: UnsafeMutablePointer<Float>, count: Int, from first: Int = 0) {
        var index = first
        while index < first + count {
            let four = normals(of: block(index >> 2))
            repeat {
                pointer[index - first] = four[index & 3]
                index += 1
            } while index < first + count && index & 3 != 0
        }
    }

    /// A tensor of standard normals.
    public func normals(_ shape: [Int], in workspace: Workspace? = nil) -> Tensor {
        let tensor = Tensor(shape, in: workspace)
        fillNormal(tensor.pointer, count: tensor.count)
        return tensor
    }

    /// The numbers 0 ..< `count` in random order (Fisher–Yates).
    public func permutation(_ count: Int) -> [Int] {
        var order = Array(0..<count)
        for last in stride(from: count - 1, to: 0, by: -1) { order.swapAt(last, integer(last, in: 0...last)) }
        return order
    }

    private func normals(of words: SIMD4<UInt32>) -> SIMD4<Float> {
        let (a, b) = Self.boxMuller(words[0], words[1])
        let (c, d) = Self.boxMuller(words[2], words[3])
        return SIMD4(a, b, c, d)
    }

    /// u₁ lies in (0, 1], so that its logarithm is finite.
    private static func boxMuller(_ first: UInt32, _ second: UInt32) -> (Float, Float) {
        let radius = (-2 * log((Double(first) + 1) * 0x1p-32)).squareRoot()
        let angle = 2 * Double.pi * Double(second) * 0x1p-32
        return (Float(radius * cos(angle)), Float(radius * sin(angle)))
    }

    private func block(_ index: Int, attempt: Int = 0) -> SIMD4<UInt32> {
        precondition(index >= 0 && index < 1 << 46, "random index \(index) out of range")
        let low = UInt64(index) | UInt64(attempt) << 48
        let counter = SIMD4(
            UInt32(truncatingIfNeeded: low), UInt32(truncatingIfNeeded: low >> 32),
            UInt32(truncatingIfNeeded: step), UInt32(truncatingIfNeeded: step >> 32))
        return Self.philox(counter: counter, key: key)
    }

    /// Philox4x32 with ten rounds.
    public static func philox(counter: SIMD4<UInt32>, key: (UInt32, UInt32)) -> SIMD4<UInt32> {
        var (state, key) = (counter, key)
        for _ in 0..<10 {
            let first = UInt64(0xD251_1F53) * UInt64(state[0])
            let second = UInt64(0xCD9E_8D57) * UInt64(state[2])
            state = SIMD4(
                UInt32(second >> 32) ^ state[1] ^ key.0, UInt32(truncatingIfNeeded: second),
                UInt32(first >> 32) ^ state[3] ^ key.1, UInt32(truncatingIfNeeded: first))
            key = (key.0 &+ 0x9E37_79B9, key.1 &+ 0xBB67_AE85)
        }
        return state
    }

    /// The finalizer of SplitMix64 (Steele, Lea, Flood 2014).
    private static func splitMix(_ value: UInt64) -> UInt64 {
        var z = value &+ 0x9E37_79B9_7F4A_7C15
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
