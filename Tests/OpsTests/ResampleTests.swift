import Ops
import RealModule
import Tensors
import TestSupport
import Testing

@Suite struct ResampleTests {
    private func rows(_ input: Int, to output: Int) throws -> [Int] {
        let x = Tensor([1, input, 1, 1], (0..<input).map(Float.init))
        let y = Resample.upsampleNearest(x, to: (output, 1), engine: try Engine(threads: 1))
        return y.array.map(Int.init)
    }

    @Test func rowsAreFloorOfTheRatio() throws {
        let expected = [
            (3, [0, 0, 1, 1, 2, 2]), (4, [0, 1, 2, 3]), (3, [0, 0, 1, 1, 2]), (2, [0, 0, 0, 0, 1, 1, 1]),
        ]
        for (input, sources) in expected {
            let found = try rows(input, to: sources.count)
            #expect(found == sources)
        }
    }

    /// torch computes the ratio and the product in float32: 41 · (3/123) rounds to just below 1. Row 41 of 123 shows
    /// row 0 there, where exact arithmetic says 1.
    @Test func roundingIsTorchs() throws {
        let sources = try rows(3, to: 123)
        #expect(sources[41] == 0 && sources[42] == 1 && sources[82] == 1 && sources[83] == 2)
    }
}

@Suite struct TimeEmbeddingTests {
    @Test(arguments: [Float(0), 1, 301, 999, 20.5])
    func sinesAndCosinesOfGeometricFrequencies(timestep: Float) {
        let embedding = timeEmbedding(timestep: timestep, dimensions: 320, flipSinToCos: true, freqShift: 0)
        let angles = (0..<160).map { Double(timestep) * Double.exp(-Double.log(10_000) * Double($0) / 160) }
        // The frequency is rounded to 1e-7, and the angle with it.
        expectEachClose(
            embedding, angles.map { Double.cos($0) } + angles.map { Double.sin($0) },
            absolute: 2e-7 * Double(max(1, timestep)))
        let plain = timeEmbedding(timestep: timestep, dimensions: 320, flipSinToCos: false, freqShift: 0)
        #expect(plain == Array(embedding[160...] + embedding[..<160]))
    }

    @Test func shiftAndOddDimensions() {
        let embedding = timeEmbedding(timestep: 5, dimensions: 7, flipSinToCos: false, freqShift: 1)
        let angles = [5, 5 * 0.01, 5 * 0.0001]
        expectEachClose(
            embedding, angles.map { Double.sin($0) } + angles.map { Double.cos($0) } + [0], absolute: 1e-6)
    }
}
