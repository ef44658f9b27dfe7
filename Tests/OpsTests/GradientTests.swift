import ComplexModule
import Ops
import RealModule
import Testing
import TestSupport

/// Every operation against its slow twin in double precision, and its gradients against complex steps on the twin.
///
/// Tolerance: sums of at most 150 products in float32, each rounded to 6e-8, after at most three such sums in a row;
/// independent errors give √150 · 3 · 6e-8 ≈ 2e-6, and normalization by a small deviation up to ten times that.
@Suite struct GradientTests {
    @Test(arguments: gradientCases)
    func forwardAndBackwardAgreeWithTheTwin(_ test: GradientCase) throws {
        let x = test.values
        let expected = test.twin(x.map { $0.map { C(Double($0)) } }).map(\.real)
        let gradients = x.indices.map { input in
            complexStepGradient(at: x[input].doubles, cotangent: test.cotangent(expected.count).doubles) { point in
                test.twin(x.indices.map { $0 == input ? point : x[$0].map { C(Double($0)) } })
            }
        }
        for instructionSet in InstructionSet.supported {
            let (y, dx) = test.computed(try Engine(instructionSet: instructionSet, threads: 1))
            expectClose(y, expected, tolerance: 1e-5, "\(test.name), \(instructionSet)")
            #expect(dx.count == gradients.count)
            for (input, gradient) in gradients.enumerated() {
                expectClose(dx[input], gradient, tolerance: 2e-5, "d\(input) of \(test.name), \(instructionSet)")
            }
        }
    }

    @Test(arguments: gradientCases)
    func oneAndTwoThreadsGiveTheSameBits(_ test: GradientCase) throws {
        let one = test.computed(try Engine(threads: 1))
        let two = test.computed(try Engine(threads: 2))
        expectIdentical(one.y, two.y, test.name)
        for (a, b) in zip(one.dx, two.dx) { expectIdentical(a, b, "gradient of \(test.name)") }
    }
}
