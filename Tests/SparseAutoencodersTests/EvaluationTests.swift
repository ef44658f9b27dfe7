import Ops
import SparseAutoencoders
import Tensors
import Testing

@Suite struct EvaluationTests {
    let configuration = SAEConfiguration(inputWidth: 16, numLatents: 40, k: 4)

    @Test func agreesWithTheLoss() throws {
        let engine = try Engine()
        let autoencoder = randomAutoencoder(configuration)
        let x = CounterRandom(seed: 2, purpose: .noise).normals([50, 16])
        var means = ActivationMeans(width: 16)
        means.add(x.slice(0..<20), timestep: 1, engine: engine)
        means.add(x.slice(20..<50), timestep: 2, engine: engine)
        var evaluation = SAEEvaluation(autoencoder, means: means, engine: engine)
        evaluation.add(x.slice(0..<20), timestep: 1)
        evaluation.add(x.slice(20..<50), timestep: 2)
        let report = SparseLoss(autoencoder, engine: engine).evaluate(x)
        #expect(abs(evaluation.whole.fvu / report.fvu - 1) < 1e-5)
        #expect(abs(evaluation.whole.explainedVariance - report.explainedVariance) < 1e-4)
        #expect(abs(evaluation.whole.l0 - report.l0) < 1e-9)
        let first = SparseLoss(autoencoder, engine: engine).evaluate(x.slice(0..<20))
        #expect(abs((evaluation.byTimestep[1]?.fvu ?? 0) / first.fvu - 1) < 1e-5)
        #expect(evaluation.activeTokens.reduce(0, +) == Int((report.l0 * 50).rounded()))
        #expect(evaluation.histogram.reduce(0) { $0 + $1.count } + evaluation.dead == 40)
    }

    @Test func permutedCopyIsMatched() throws {
        let engine = try Engine()
        let autoencoder = randomAutoencoder(configuration)
        let order = CounterRandom(seed: 6, purpose: .shuffle).permutation(40)
        let permuted = Tensor([40, 16], order.flatMap { autoencoder.decoderWeight.slice($0..<$0 + 1).array })
        let other = SparseAutoencoder(
            configuration: configuration, encoderWeight: permuted, encoderBias: Tensor.zeros([40]),
            decoderWeight: permuted, decoderBias: autoencoder.decoderBias)
        let matches = autoencoder.match(other, engine: engine)
        for (feature, match) in matches.enumerated() {
            #expect(match.map { order[$0.feature] } == feature)
            #expect(abs((match?.cosine ?? 0) - 1) < 1e-5)
        }
        let neighbours = autoencoder.decoderNeighbours(engine: engine)
        #expect(neighbours.enumerated().allSatisfy { $0.offset != $0.element.feature && $0.element.cosine < 0.999 })
    }
}
