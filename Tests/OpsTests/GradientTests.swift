import ComplexModule
import Ops
import RealModule
import Testing
import Tensors
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
    func everyNumberOfThreadsGivesTheSameBits(_ test: GradientCase) throws {
        let one = test.computed(try Engine(threads: 1))
        for count in [2, 3, 7, 64] {
            let other = test.computed(try Engine(threads: count))
            expectIdentical(one.y, other.y, "\(test.name), \(count) threads")
            for (a, b) in zip(one.dx, other.dx) { expectIdentical(a, b, "gradient of \(test.name), \(count) threads") }
        }
    }

    /// Sizes at which work is divided otherwise for many threads: several blocks of rows, groups of tiles, ranges of keys.
    @Test func sixtyFourThreadsDivideLargeOperationsWithoutATrace() throws {
        func results(_ threads: Int) throws -> [[Float]] {
            let engine = try Engine(threads: threads)
            let linear = Linear(weight: Weight(name: "w", tensor: tensor([96, 80], 1)), engine: engine)
            let filter = Weight(name: "f", tensor: tensor([48, 32, 3, 3], 2))
            let convolution = Convolution(weight: filter, bias: nil, engine: engine)
            let map = tensor([1, 20, 24, 32], 3), rows = tensor([1100, 80], 4)
            let (q, k, v) = (tensor([1, 1100, 16], 5), tensor([1, 1100, 16], 6), tensor([1, 1100, 16], 7))
            let (out, saved) = Attention.forward(query: q, key: k, value: v, heads: 2, engine: engine)
            let d = Attention.backwardInput(
                v, query: q, key: k, value: v, out: out, saved: saved, heads: 2, engine: engine)
            return [linear.forward(rows)] .map(\.array)
                + Convolution.Algorithm.allCases.map { convolution.forward(map, algorithm: $0).array }
                + [out.array, d.dQuery.array, d.dKey.array, d.dValue.array]
        }
        let (one, many) = (try results(1), try results(64))
        for (index, pair) in zip(one, many).enumerated() { expectIdentical(pair.0, pair.1, "result \(index)") }
    }

    private func tensor(_ shape: [Int], _ seed: UInt64) -> Tensor {
        Tensor(shape, randomFloats(shape.reduce(1, *), seed: seed))
    }
}
