import Testing
import TestSupport

/// The comparators must fail, or no test that uses them means anything.
@Suite struct ComparisonTests {
    private let values = randomFloats(64, seed: 3)

    /// What a kernel could get wrong, each applied to correct values.
    private var wrong: [(name: String, values: [Float])] {
        var signFlipped = values, poisoned = values, infinite = values
        signFlipped[17] = -signFlipped[17]
        poisoned[5] = .nan
        infinite[5] = .infinity
        let transposed = (0..<64).map { values[$0 % 8 * 8 + $0 / 8] }
        return [
            ("1 % error", values.map { $0 * 1.01 }), ("one sign flipped", signFlipped),
            ("a transposed tile", transposed), ("a NaN", poisoned), ("an infinity", infinite),
            ("a missing element", Array(values.dropLast())), ("nothing computed", values.map { _ in 0 }),
        ]
    }

    @Test func equalValuesPass() {
        expectClose(values, values.doubles, tolerance: 0)
        expectClose(values.map { $0 * 1.000_01 }, values, tolerance: 1.1e-5)
        expectEachClose(values, values.doubles)
        expectIdentical(values, values)
    }

    @Test func everyKindOfErrorIsReported() {
        for (name, values) in wrong {
            withKnownIssue("expectClose, \(name)") { expectClose(values, self.values.doubles, tolerance: 5e-3) }
            withKnownIssue("expectClose of floats, \(name)") { expectClose(values, self.values, tolerance: 5e-3) }
            withKnownIssue("expectEachClose, \(name)") {
                expectEachClose(values, self.values.doubles, absolute: 1e-4, relative: 5e-3)
            }
            withKnownIssue("expectIdentical, \(name)") { expectIdentical(values, self.values) }
        }
    }

    @Test func aNaNIsNotIdenticalToANumberButToItself() {
        withKnownIssue { expectIdentical([.nan], [0]) }
        expectIdentical([.nan], [.nan])
        withKnownIssue { expectIdentical([-0.0], [0.0]) }
    }

    @Test func theWorstElementIsNamed() {
        let comparison = Comparison([1, 2, 3.5], [1, 2, 3])
        #expect(comparison.worstIndex == 2)
        #expect(abs(comparison.relative - 0.5 / 14.0.squareRoot()) < 1e-15)
    }
}
