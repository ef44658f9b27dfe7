import Tensors
import Testing

@Suite struct CounterRandomTests {
    /// The known answers published with Random123 (kat_vectors, philox4x32 10).
    @Test(arguments: [
        (
            SIMD4<UInt32>(0, 0, 0, 0), UInt32(0), UInt32(0),
            SIMD4<UInt32>(0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8)
        ),
        (
            SIMD4(repeating: .max), .max, .max,
            SIMD4(0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd)
        ),
        (
            SIMD4(0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344), 0xa409_3822, 0x299f_31d0,
            SIMD4(0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1)
        ),
    ]) func knownAnswers(counter: SIMD4<UInt32>, key0: UInt32, key1: UInt32, expected: SIMD4<UInt32>) {
        #expect(CounterRandom.philox(counter: counter, key: (key0, key1)) == expected)
    }

    /// A recorded seed must mean the same draws in every version of this library.
    @Test func drawsOfARecordedSeedNeverChange() {
        let random = CounterRandom(seed: 1024, purpose: .noise, unit: 7, step: 3)
        #expect((0..<4).map(random.bits) == [0x699d_9b3f, 0x0254_b2e5, 0x5ca9_69e6, 0x376b_e03e])
    }

    @Test func eachPartOfTheKeyChangesTheDraw() {
        let base = CounterRandom(seed: 1, purpose: .noise, unit: 2, step: 3)
        let others = [
            CounterRandom(seed: 2, purpose: .noise, unit: 2, step: 3),
            CounterRandom(seed: 1, purpose: .jitter, unit: 2, step: 3),
            CounterRandom(seed: 1, purpose: .noise, unit: 3, step: 3),
            CounterRandom(seed: 1, purpose: .noise, unit: 2, step: 4),
            CounterRandom(seed: 1 << 40, purpose: .noise, unit: 2, step: 3),
        ]
        #expect(Set(others.map { $0.bits(0) } + [base.bits(0), base.bits(1), base.bits(4)]).count == 8)
        #expect(base.at(step: 4).bits(9) == others[3].bits(9))
    }

    @Test func fillingAgreesWithSingleDraws() {
        let random = CounterRandom(seed: 5, purpose: .start)
        for (first, count) in [(0, 9), (3, 1), (2, 11), (4, 4), (7, 0)] {
            var filled = [Float](repeating: .nan, count: count)
            filled.withUnsafeMutableBufferPointer {
                if let base = $0.baseAddress { random.fillNormal(base, count: count, from: first) }
            }
            #expect(filled == (first..<first + count).map { random.normal($0) })
        }
    }

    /// Mean, variance, third and fourth moment within five standard errors of the normal distribution's.
    @Test func normalsHaveTheMomentsOfTheNormalDistribution() {
        let count = 100_000
        let values = CounterRandom(seed: 9, purpose: .noise).normals([count]).array.map(Double.init)
        func moment(_ power: Int) -> Double {
            values.reduce(0) { sum, x in sum + (0..<power).reduce(1.0) { p, _ in p * x } } / Double(count)
        }
        let standardError = 1 / Double(count).squareRoot()
        #expect(abs(moment(1)) < 5 * standardError)
        #expect(abs(moment(2) - 1) < 5 * standardError * 2.0.squareRoot())
        #expect(abs(moment(3)) < 5 * standardError * 15.0.squareRoot())
        #expect(abs(moment(4) - 3) < 5 * standardError * 96.0.squareRoot())
    }

    @Test func integersCoverTheirRangeEvenly() {
        let random = CounterRandom(seed: 3, purpose: .jitter)
        var counts = [Int](repeating: 0, count: 7)
        for index in 0..<70_000 { counts[random.integer(index, in: -3...3) + 3] += 1 }
        let chiSquared = counts.reduce(0.0) { $0 + (Double($1) - 10_000) * (Double($1) - 10_000) / 10_000 }
        #expect(chiSquared < 22.5, "6 degrees of freedom exceed 22.5 once in a thousand: \(counts)")
        #expect(random.integer(0, in: 5...5) == 5)
    }

    /// Three quarters of 2³² values: a quarter of first attempts is rejected, and the outcome stays in range.
    @Test func rejectionStaysInRangeAndDependsOnTheIndexAlone() {
        let random = CounterRandom(seed: 4, purpose: .selection)
        let range = 0...(3 << 30)
        let draws = (0..<1000).map { random.integer($0, in: range) }
        #expect(draws.allSatisfy { range.contains($0) })
        #expect(draws.reversed() == (0..<1000).reversed().map { random.integer($0, in: range) })
        let lowHalf = draws.count { $0 < 3 << 29 }
        #expect((400...600).contains(lowHalf))
    }

    @Test func uniformsAndPermutations() {
        let random = CounterRandom(seed: 6, purpose: .shuffle)
        let draws = (0..<10_000).map { random.uniform($0, in: -2...2) }
        #expect(draws.allSatisfy { $0 >= -2 && $0 < 2 })
        #expect(abs(draws.reduce(0, +) / 10_000) < 0.06)
        let order = random.permutation(100)
        #expect(order.sorted() == Array(0..<100))
        #expect(order != Array(0..<100))
    }
}
