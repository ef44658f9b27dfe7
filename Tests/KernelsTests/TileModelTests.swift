#if arch(x86_64)
import CInstructions
import KernelsAMXModel
import ReferenceKernels
import Testing
import TestSupport

/// The model of AMX's tile instructions, on which the kernels for it are tested, itself tested against its documentation.
@Suite struct TileModelTests {
    private static let size = 16

    /// One TDPBF16PS of 16×16 pairs, added to `sums`.
    private func dot(_ a: [UInt32], _ b: [UInt32], _ sums: [Float]) -> [Float] {
        var result = sums
        tile_load_0(sums, 64)
        tile_load_4(a, 64)
        tile_load_6(b, 64)
        tile_dot_0_4_6()
        tile_store_0(&result, 64)
        return result
    }

    /// Pairs of numbers in 16 rows.
    private func words(seed: UInt64) -> [UInt32] {
        Reference.packPairs(randomFloats(512, seed: seed), depth: 32, width: Self.size)
    }

    private func configured<Result>(_ body: () -> Result) -> Result {
        tile_configure()
        defer { tile_release() }
        return body()
    }

    @Test func evenAndOddTermsAreSummedApartThenTogetherThenToTheTile() {
        let (a, b, sums) = (words(seed: 1), words(seed: 2), randomFloats(256, seed: 3))
        let result = configured { dot(a, b, sums) }
        for i in 0..<256 {
            var even: Float = 0, odd: Float = 0
            for pair in 0..<16 {
                let (x, y) = (Reference.numbers(a[i / 16 * 16 + pair]), Reference.numbers(b[pair * 16 + i % 16]))
                even.addProduct(x.low, y.low)
                odd.addProduct(x.high, y.high)
            }
            #expect(result[i] == sums[i] + (even + odd))
        }
    }

    /// Added to 2²⁴ one by one, ones would be lost.
    @Test func termsMeetBeforeTheyMeetTheTile() {
        var a = [UInt32](repeating: 0, count: 256)
        a[0] = Reference.word(1, 1)
        let result = configured { dot(a, a, [Float](repeating: 0x1p24, count: 256)) }
        #expect(result[0] == 0x1p24 + 2)
    }

    @Test func subnormalNumbersAndResultsAreZero() {
        var a = [UInt32](repeating: 0, count: 256), b = a
        a[0] = Reference.word(.leastNormalMagnitude / 2, .leastNormalMagnitude)
        b[0] = Reference.word(1024, 0.5)
        let sums = [Float](repeating: -.leastNonzeroMagnitude, count: 256)
        let result = configured { dot(a, b, sums) }
        #expect(result == [Float](repeating: 0, count: 256))
    }

    /// What a CPU answers with a signal, the model answers with NaN.
    @Test func wrongConfigurationsGiveNaN() {
        let (a, b, sums) = (words(seed: 1), words(seed: 2), [Float](repeating: 0, count: 256))
        func isNaN() -> Bool { dot(a, b, sums).contains { $0.isNaN } }
        #expect(isNaN(), "without a configuration")
        let right = withUnsafeBytes(of: tile_configuration) { Array($0) }
        for (byte, value, name) in [
            (0, 0, "palette 0"), (0, 2, "palette 2"), (16, 128, "rows of 128 bytes"), (48, 17, "17 rows"),
            (3, 1, "a reserved byte"), (52, 8, "A with fewer rows than the sums"), (24, 32, "A narrower than B is high"),
            (28, 32, "B narrower than the sums"), (54, 8, "B lower than A is wide"), (48, 0, "a tile without rows"),
        ] as [(Int, UInt8, String)] {
            var wrong = right
            wrong[byte] = value
            wrong.withUnsafeBytes { tile_configure($0) }
            #expect(isNaN(), "\(name)")
        }
        #expect(!configured(isNaN), "a right one clears it")
    }

    /// The kernels' own products between neither begin nor end.
    @Test func aProductWithoutTilesIsNaN() {
        let kernels = KernelsAMXModel.makeKernelTable().bfloat16
        let pairs = kernels.pairs(32)
        let (a, panel) = ([UInt32](repeating: 0, count: 32 * pairs), [UInt32](repeating: 0, count: 32 * pairs))
        let c = GuardedBuffer(32 * 32)
        kernels.multiply(a, 32, pairs, panel, 32, c.pointer, 32, false)
        #expect(c.array.filter(\.isNaN).count == c.count && c.isIntact)
    }
}
#endif
