import ComplexModule
import Foundation
import RealModule
import Testing
import TestSupport

@Suite struct SupportTests {
    @Test(arguments: [0, 1, 3])
    func aGuardedBufferNoticesWritesOutside(misalignment: Int) {
        let buffer = GuardedBuffer(5, misalignment: misalignment)
        #expect(buffer.array.allSatisfy { $0.isNaN }, "unwritten floats are NaN")
        for i in 0..<5 { buffer.pointer[i] = Float(i) }
        #expect(buffer.isIntact)
        #expect(buffer.array == [0, 1, 2, 3, 4])
        for place in [-1, 5] {
            let before = buffer.pointer[place]
            buffer.pointer[place] = 1
            #expect(!buffer.isIntact)
            buffer.pointer[place] = before
            #expect(buffer.isIntact)
        }
    }

    /// d/dx of Σ c·(x₀² e^x₁, x₁/x₀), known in closed form.
    @Test func theComplexStepGivesTheGradientToRounding() {
        let gradient = complexStepGradient(at: [1.5, -0.5], cotangent: [2, 3]) { x in
            [x[0] * x[0] * Complex.exp(x[1]), x[1] / x[0]]
        }
        let e = Double.exp(-0.5)
        let expected = [2 * 2 * 1.5 * e - 3 * -0.5 / 2.25, 2 * 2.25 * e + 3 / 1.5]
        for (a, b) in zip(gradient, expected) { #expect(abs(a - b) < 1e-14) }
    }

    @Test func randomValuesRepeatAndFillTheInterval() {
        let values = randomFloats(4096, seed: 1, scale: 2)
        #expect(values == randomFloats(4096, seed: 1, scale: 2))
        #expect(values != randomFloats(4096, seed: 2, scale: 2))
        #expect(values.allSatisfy { abs($0) <= 2 })
        #expect(values.max()! > 1.99)
        #expect(values.min()! < -1.99)
    }

    @Test func aMissingFixtureIsAFailure() {
        withKnownIssue { _ = try Golden("missing.safetensors", in: Bundle(for: TemporaryFolder.self)) }
    }
}
