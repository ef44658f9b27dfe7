import Ops
import SparseAutoencoders
import Tensors
import Testing

import Visualization

@Suite struct ObjectiveTests {
    let engine: Engine
    let autoencoder: SparseAutoencoder
    let activation = randomTensor([12, 6], seed: 1)

    init() throws {
        engine = try Engine(threads: 1)
        var configuration = SAEConfiguration(inputWidth: 6, numLatents: 10, k: 2)
        configuration.inputUnitNorm = false
        autoencoder = Self.autoencoder(configuration)
    }

    static func autoencoder(_ configuration: SAEConfiguration) -> SparseAutoencoder {
        let (d, l) = (configuration.inputWidth, configuration.numLatents)
        return SparseAutoencoder(
            configuration: configuration, encoderWeight: randomTensor([l, d], seed: 2),
            encoderBias: randomTensor([l], seed: 3), decoderWeight: randomTensor([l, d], seed: 4),
            decoderBias: randomTensor([d], seed: 5))
    }

    /// The derivative along a direction by central differences against the gradient's product with it.
    func expectGradient(_ objective: Objective, _ rectifier: Rectifier) {
        let direction = randomTensor(activation.shape, seed: 9)
        func value(_ t: Float) -> Double {
            let moved = activation.copy()
            for i in 0..<moved.count { moved.pointer[i] += t * direction.pointer[i] }
            return objective.value(moved, rectifier: rectifier, engine: engine)
        }
        let found = objective.evaluate(activation, rectifier: rectifier, engine: engine)
        let product = zip(found.gradient.array, direction.array).reduce(0.0) { $0 + Double($1.0 * $1.1) }
        // Small enough that no position crosses the kink for these numbers.
        let measured = (value(1e-3) - value(-1e-3)) / 2e-3
        #expect(abs(measured - product) < 2e-4 * max(1, abs(product)), "\(objective.name)")
        #expect(abs(found.value - value(0)) < 1e-9)
        #expect(!found.isFlat)
    }

    @Test(arguments: Rectifier.allCases) func gradients(_ rectifier: Rectifier) {
        expectGradient(.channel(4), rectifier)
        expectGradient(.feature(3, of: autoencoder), rectifier)
        expectGradient(Objective([.init(.direction(randomTensor([6], seed: 6), name: "v"))]), rectifier)
        expectGradient(
            Objective([
                .init(.feature(1, autoencoder), weight: 2), .init(.feature(8, autoencoder), weight: -0.5),
                .init(.channel(0), weight: -1),
            ]), rectifier)
    }

    static let poolings: [Pooling] = [
        .peak(sharpness: 0.5), .peak(sharpness: 4), .peak(sharpness: 50),
        .weights((0..<12).map { $0 == 5 ? 1 : 0 }), .weights((0..<12).map { Float($0) / 66 }),
    ]

    @Test(arguments: poolings, Rectifier.allCases) func gradientsOfPooledValues(_ pooling: Pooling, _ rectifier: Rectifier) {
        var sum = Objective([
            .init(.feature(1, autoencoder), weight: 2), .init(.direction(randomTensor([6], seed: 6), name: "v"), weight: -0.5),
            .init(.channel(0), weight: -1),
        ])
        sum.pooling = pooling
        expectGradient(sum, rectifier)
        expectGradient(Objective([.init(.channel(4))], pooling: pooling), rectifier)
    }

    @Test func unitNormalisedInputs() {
        var configuration = SAEConfiguration(inputWidth: 6, numLatents: 10, k: 2)
        configuration.inputUnitNorm = true
        expectGradient(.feature(2, of: Self.autoencoder(configuration)), .none)
    }

    @Test func aFeatureThatIsOffIsFlatUnderReLUOnly() {
        let off = SparseAutoencoder(
            configuration: autoencoder.configuration, encoderWeight: autoencoder.encoderWeight,
            encoderBias: Tensor([10], Array(repeating: -1000, count: 10)), decoderWeight: autoencoder.decoderWeight,
            decoderBias: autoencoder.decoderBias)
        let objective = Objective.feature(3, of: off)
        let relu = objective.evaluate(activation, rectifier: .relu, engine: engine)
        #expect(relu.isFlat && relu.value == 0 && relu.gradient.array.allSatisfy { $0 == 0 })
        let leaky = objective.evaluate(activation, rectifier: .leaky, engine: engine)
        #expect(!leaky.isFlat && leaky.value < -90)
    }

    @Test func namesSayWhatIsSought() {
        #expect(Objective.channel(3).name == "channel 3")
        let sum = Objective([
            .init(.feature(3, autoencoder)), .init(.feature(7, autoencoder), weight: -0.5),
            .init(.feature(9, autoencoder), weight: 2),
        ])
        #expect(sum.name == "feature 3 - 0.5 feature 7 + 2.0 feature 9")
        #expect(Objective([.init(.channel(1), weight: -1)]).name == "-channel 1")
    }

    @Test func whatALayerCannotGiveIsRefused() {
        func message(_ objective: Objective, width: Int = 6) -> String? {
            do {
                try objective.check(width: width, layer: "mid_block.attentions.0")
                return nil
            } catch { return "\(error)" }
        }
        #expect(message(.channel(5)) == nil)
        #expect(message(.channel(6)) == "channel 6: mid_block.attentions.0 has channels 0 to 5")
        #expect(message(.channel(-1))?.contains("channel -1") == true)
        #expect(message(.feature(10, of: autoencoder)) == "feature 10: the SAE has features 0 to 9")
        #expect(message(.feature(1, of: autoencoder), width: 8)?.contains("takes 6 channels") == true)
        #expect(message(Objective([.init(.direction(Tensor.zeros([4]), name: "v"))]))?.contains("4 numbers") == true)
    }

    @Test func likenessOfABatch() {
        let one = randomTensor([1, 12, 6], seed: 20)
        let twins = Tensor([2, 12, 6], one.array + one.array)
        let same = Diversity.evaluate(twins, weight: 0.5, engine: engine)
        #expect(abs(same.value - 0.5) < 1e-6)
        #expect(same.gradient.array.allSatisfy { abs($0) < 1e-6 })
        #expect(Diversity.evaluate(one, weight: 0.5, engine: engine).value == 0)
    }

    @Test func likenessGradient() {
        let activations = randomTensor([3, 12, 6], seed: 21)
        let direction = randomTensor([3, 12, 6], seed: 22)
        func value(_ t: Float) -> Double {
            let moved = activations.copy()
            for i in 0..<moved.count { moved.pointer[i] += t * direction.pointer[i] }
            return Diversity.evaluate(moved, weight: 2, engine: engine).value
        }
        let gradient = Diversity.evaluate(activations, weight: 2, engine: engine).gradient
        let product = zip(gradient.array, direction.array).reduce(0.0) { $0 + Double($1.0 * $1.1) }
        let measured = (value(3e-3) - value(-3e-3)) / 6e-3
        #expect(abs(measured - product) < 1e-3 * max(1, abs(product)))
    }
}
