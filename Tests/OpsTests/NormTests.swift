import Ops
import ReferenceKernels
import Tensors
import TestSupport
import Testing

/// Norms on activations of several blocks of rows; the gradient table has a single block.
@Suite struct NormTests {
    private let weight = randomFloats(24, seed: 5).map { 1 + $0 }
    private let bias = randomFloats(24, seed: 6)

    private func groupNorm(_ engine: Engine) -> GroupNorm {
        GroupNorm(
            weight: Weight(name: "weight", tensor: Tensor([24], weight)),
            bias: Weight(name: "bias", tensor: Tensor([24], bias)), groups: 4, epsilon: 1e-5, engine: engine)
    }

    private func activation(mean: Float) -> Tensor {
        Tensor([2, 20, 15, 24], randomFloats(2 * 300 * 24, seed: 1).map { mean + $0 })
    }

    /// Error of a value of the size of `mean`, relative to deviations of 0.6: with 1000, 6e-8 · 1000 / 0.6 = 1e-4.
    @Test(arguments: [(Float(0), 1e-6), (1000, 2e-4)])
    func groupNormAgreesWithTheTwin(mean: Float, tolerance: Double) throws {
        for instructionSet in InstructionSet.supported {
            let layer = groupNorm(try Engine(instructionSet: instructionSet, threads: 2))
            let x = activation(mean: mean)
            let dy = Tensor(x.shape, randomFloats(x.count, seed: 2))
            let base = Tensor(x.shape, randomFloats(x.count, seed: 3))
            let (y, saved) = layer.forward(x, silu: true)
            let dx = layer.backwardInput(dy, x: x, saved: saved, silu: true)
            let sum = layer.backwardInput(dy, x: x, saved: saved, silu: true, adding: base)
            for sample in 0..<2 {
                let rows = sample..<sample + 1
                let xs = x.slice(rows).array.doubles
                let expected = Reference.groupNorm(
                    xs, weight: weight.doubles, bias: bias.doubles, groups: 4, epsilon: Double(Float(1e-5)),
                    silu: true)
                let gradient = Reference.groupNormBackward(
                    dy.slice(rows).array.doubles, xs, weight: weight.doubles, bias: bias.doubles, groups: 4,
                    epsilon: Double(Float(1e-5)), silu: true)
                expectClose(y.slice(rows).array, expected, tolerance: tolerance, instructionSet)
                expectClose(dx.slice(rows).array, gradient, tolerance: tolerance, instructionSet)
                let added = zip(base.slice(rows).array, gradient).map { Double($0) + $1 }
                expectClose(sum.slice(rows).array, added, tolerance: tolerance, "added, \(instructionSet)")
            }
        }
    }

    @Test(arguments: [false, true])
    func groupNormInItsOwnPlaceHasTheSameBytes(silu: Bool) throws {
        for instructionSet in InstructionSet.supported {
            let layer = groupNorm(try Engine(instructionSet: instructionSet, threads: 2))
            let x = activation(mean: 3)
            let expected = layer.forward(x, silu: silu).y.array
            let y = layer.infer(x, silu: silu)
            #expect(y.array == expected && y.pointer == x.pointer)
        }
    }

    /// The gradient of a layer norm with a residual branch added.
    @Test func layerNormAddsTheOtherGradient() throws {
        let engine = try Engine(threads: 1)
        let layer = LayerNorm(
            weight: Weight(name: "weight", tensor: Tensor([24], weight)),
            bias: Weight(name: "bias", tensor: Tensor([24], bias)), epsilon: 1e-5, engine: engine)
        let x = Tensor([3, 24], randomFloats(72, seed: 1))
        let (dy, base) = (Tensor([3, 24], randomFloats(72, seed: 2)), Tensor([3, 24], randomFloats(72, seed: 3)))
        let saved = layer.forward(x).saved
        let plain = layer.backwardInput(dy, x: x, saved: saved).array
        let sum = layer.backwardInput(dy, x: x, saved: saved, adding: base).array
        expectIdentical(sum, zip(base.array, plain).map { $0 + $1 })
    }

    @Test func resultsDoNotDependOnThreadsOrOnTheBatch() throws {
        let (x, dy) = (activation(mean: 3), Tensor([2, 20, 15, 24], randomFloats(14_400, seed: 2)))
        func run(_ threads: Int, _ rows: Range<Int>) throws -> [Float] {
            let layer = groupNorm(try Engine(threads: threads))
            let (y, saved) = layer.forward(x.slice(rows), silu: true)
            let dx = layer.backwardInput(dy.slice(rows), x: x.slice(rows), saved: saved, silu: true)
            return y.array + dx.array
        }
        let one = try run(1, 0..<2)
        for threads in [2, 3] { expectIdentical(one, try run(threads, 0..<2), "\(threads) threads") }
        let alone = try run(1, 0..<1)
        expectIdentical(Array(alone[..<7200]), Array(one[..<7200]), "first sample alone")
    }
}
