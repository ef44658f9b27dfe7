import Ops
import SparseAutoencoders
import Tensors
import Testing

/// Where training starts, and where dead latents start anew.
@Suite struct StartTests {
    let configuration = SAEConfiguration(inputWidth: 12, numLatents: 48, k: 4, rule: .batchTopK)

    /// At the geometric median the unit vectors to the tokens cancel; an outlier that moves the mean does not move it far.
    @Test func decoderBiasIsTheGeometricMedian() throws {
        let x = CounterRandom(seed: 4, purpose: .noise).normals([200, 12])
        for i in 0..<12 { x.pointer[i] = 1000 }
        let autoencoder = try SparseAutoencoder(configuration: configuration, firstBatch: x, seed: 1, engine: Engine())
        let median = autoencoder.decoderBias.array
        var sum = [Double](repeating: 0, count: 12)
        for row in 0..<200 {
            let difference = (0..<12).map { Double(x.array[row * 12 + $0] - median[$0]) }
            let norm = difference.reduce(0) { $0 + $1 * $1 }.squareRoot()
            for i in 0..<12 { sum[i] += difference[i] / norm }
        }
        #expect(sum.allSatisfy { abs($0) < 0.01 }, "\(sum)")
        #expect(median.allSatisfy { abs($0) < 0.5 })
    }

    @Test func decoderIsTheNormalisedEncoder() throws {
        let x = CounterRandom(seed: 4, purpose: .noise).normals([64, 12])
        let autoencoder = try SparseAutoencoder(configuration: configuration, firstBatch: x, seed: 1, engine: Engine())
        let bound = 1 / Float(12).squareRoot()
        #expect(autoencoder.encoderWeight.array.allSatisfy { abs($0) <= bound })
        #expect(autoencoder.encoderBias.array.allSatisfy { $0 == 0 })
        for feature in 0..<48 {
            let rows = [autoencoder.encoderWeight, autoencoder.decoderWeight].map { $0.slice(feature..<feature + 1).array }
            #expect(abs(cosine(rows[0], rows[1]) - 1) < 1e-5)
            #expect(abs(rows[1].reduce(0) { $0 + $1 * $1 } - 1) < 1e-5)
        }
    }

    /// Features that were not selected come back as directions of tokens, the others stay.
    @Test func resampledFeaturesPointAtTokens() throws {
        let engine = try Engine()
        var options = TrainingOptions()
        (options.batchTokens, options.steps, options.learningRate) = (16, 10, 1e-5)
        (options.deadAfterTokens, options.resampleEvery) = (0, 1)
        let x = CounterRandom(seed: 4, purpose: .noise).normals([16, 12])
        let autoencoder = SparseAutoencoder(configuration: configuration, firstBatch: x, seed: 1, engine: engine)
        let before = autoencoder.decoderWeight.array
        let trainer = SAETrainer(autoencoder, options: options, engine: engine)
        let fired = try trainer.train(x, positions: 1).report.fired
        #expect(fired.contains(true) && fired.contains(false))
        for feature in 0..<48 {
            let row = autoencoder.decoderWeight.slice(feature..<feature + 1).array
            let largest = (0..<16).map { token in
                cosine(row, (0..<12).map { x.array[token * 12 + $0] - autoencoder.decoderBias.array[$0] })
            }.max() ?? 0
            if fired[feature] {
                #expect(cosine(row, Array(before[feature * 12..<feature * 12 + 12])) > 0.999)
            } else {
                #expect(largest > 0.9999)
            }
        }
        #expect(trainer.sinceFired.allSatisfy { $0 == 0 })
    }

    private func cosine(_ a: [Float], _ b: [Float]) -> Float {
        let dot = { (u: [Float], v: [Float]) in zip(u, v).reduce(Float(0)) { $0 + $1.0 * $1.1 } }
        return dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot()
    }
}
