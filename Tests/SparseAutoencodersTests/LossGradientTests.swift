import Ops
import SparseAutoencoders
import Tensors
import Testing

/// Gradients of every kind against differences of the loss itself.
@Suite struct LossGradientTests {
    struct Case: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let configuration: SAEConfiguration
        var dead = false
    }

    static func configuration(
        _ rule: SelectionRule, _ change: (inout SAEConfiguration) -> Void = { _ in }
    ) -> SAEConfiguration {
        let k = rule == .sampleTopK ? 40 : 6
        var configuration = SAEConfiguration(inputWidth: 24, numLatents: 96, k: k, rule: rule)
        change(&configuration)
        return configuration
    }

    static let cases = [
        Case(testDescription: "topk", configuration: configuration(.topK)),
        Case(testDescription: "batch, dead", configuration: configuration(.batchTopK), dead: true),
        Case(testDescription: "sample", configuration: configuration(.sampleTopK)),
        Case(testDescription: "multi", configuration: configuration(.batchTopK) { $0.multiTopK = true }, dead: true),
        Case(testDescription: "unit norm", configuration: configuration(.topK) { $0.inputUnitNorm = true }),
        Case(
            testDescription: "matryoshka", configuration: configuration(.batchTopK) { $0.prefixes = [10, 40] },
            dead: true),
        Case(testDescription: "relu", configuration: configuration(.relu)),
        Case(testDescription: "relu matryoshka", configuration: configuration(.relu) { $0.prefixes = [50] }),
        Case(testDescription: "jumprelu", configuration: configuration(.jumpReLU)),
    ]

    /// The loss is piecewise smooth and jumps where the selection changes, so a difference that happens to straddle a jump
    /// says nothing: one of several steps must agree within 2 %. A missing or doubled term misses at every step.
    /// JumpReLU's threshold has a gradient by convention only, so it stays where it is.
    @Test(arguments: cases) func agreesWithDifferences(_ test: Case) throws {
        let engine = try Engine()
        var options = LossOptions()
        options.l1Coefficient = 0.02
        let autoencoder = randomAutoencoder(test.configuration)
        for parameter in autoencoder.parameters where parameter.name != "threshold" {
            for i in 0..<parameter.tensor.count { parameter.tensor.pointer[i] *= 0.3 }
        }
        let x = CounterRandom(seed: 3, purpose: .noise).normals([60, 24])
        let dead = test.dead ? (0..<96).map { $0 % 4 == 1 } : []
        func loss(_ autoencoder: SparseAutoencoder) -> Double {
            SparseLoss(autoencoder, options: options, engine: engine).evaluate(x, positions: 10, dead: dead).loss
        }
        let gradients = SAEGradients(for: autoencoder)
        _ = SparseLoss(autoencoder, options: options, engine: engine)
            .evaluate(x, positions: 10, dead: dead, gradients: gradients)
        for (index, gradient) in gradients.tensors.enumerated() where index < 4 {
            let norm = gradient.array.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
            func slope(_ step: Double) -> Double {
                let values = [step, -step].map { step in
                    let moved = autoencoder.copy()
                    let target = moved.parameters[index].tensor
                    for i in 0..<gradient.count {
                        target.pointer[i] += Float(step * Double(gradient.pointer[i]) / norm)
                    }
                    return loss(moved)
                }
                return (values[0] - values[1]) / (2 * step)
            }
            let slopes = [1e-3, 3e-4, 1e-4, 3e-5].map(slope)
            #expect(
                slopes.contains { abs($0 - norm) < 0.02 * norm },
                "\(autoencoder.parameters[index].name): \(slopes), not \(norm)")
        }
    }

    /// Dense products round to bfloat16, so that a gradient moves by a few thousandths; everything else is float32's, and the
    /// same activations are selected.
    @Test(arguments: cases) func inBFloat16TheyAreFloat32sButForRounding(_ test: Case) throws {
        var configuration = test.configuration
        configuration.numLatents = 192
        let autoencoder = randomAutoencoder(configuration)
        let x = CounterRandom(seed: 3, purpose: .noise).normals([60, 24])
        let dead = test.dead ? (0..<192).map { $0 % 4 == 1 } : []
        func evaluate(_ set: String, _ precision: Precision) throws -> (LossReport, [Tensor]) {
            let engine = try Engine(instructionSet: set, precision: precision)
            let gradients = SAEGradients(for: autoencoder)
            let report = SparseLoss(autoencoder, engine: engine)
                .evaluate(x, positions: 10, dead: dead, gradients: gradients)
            return (report, gradients.tensors)
        }
        let isDense = test.dead || (configuration.rule == .relu && configuration.prefixes.isEmpty)
            || configuration.rule == .jumpReLU
        for set in InstructionSet.supported {
            let (exact, rounded) = (try evaluate(set, .float32), try evaluate(set, .bfloat16))
            #expect(exact.0.fired == rounded.0.fired && exact.0.l0 == rounded.0.l0, "\(set)")
            #expect(abs(exact.0.loss - rounded.0.loss) < 1e-3 * exact.0.loss, "\(set)")
            let errors = zip(exact.1, rounded.1).map { relativeError($1.array, $0.array) }
            #expect(errors.prefix(4).allSatisfy { $0 < 1e-2 }, "\(set): \(errors)")
            #expect((errors[0] > 1e-5) == isDense, "\(set): \(errors)")
        }
    }

    @Test(arguments: Precision.allCases) func gradientsDoNotDependOnThreads(_ precision: Precision) throws {
        var configuration = Self.configuration(.batchTopK) { $0.multiTopK = true }
        configuration.numLatents = 512
        let autoencoder = randomAutoencoder(configuration)
        let x = CounterRandom(seed: 3, purpose: .noise).normals([300, 24])
        let dead = (0..<512).map { $0 % 8 == 1 }
        var results: [[Float]] = []
        for threads in [1, 2, 5, 64] {
            let engine = try Engine(instructionSet: InstructionSet.supported.last, threads: threads, precision: precision)
            let gradients = SAEGradients(for: autoencoder)
            _ = SparseLoss(autoencoder, engine: engine).evaluate(x, dead: dead, gradients: gradients)
            results.append(gradients.tensors.flatMap(\.array))
        }
        for other in results.dropFirst() { #expect(results[0] == other) }
    }

    /// The threshold's estimator: zero outside the window, −(θ·d + λ)/w inside (one token, one feature, by hand).
    @Test func thresholdGradientByHand() throws {
        let engine = try Engine()
        var options = LossOptions()
        (options.bandwidth, options.l0Coefficient) = (0.5, 0.1)
        let configuration = SAEConfiguration(inputWidth: 2, numLatents: 1, k: 1, rule: .jumpReLU)
        let autoencoder = SparseAutoencoder(
            configuration: configuration, encoderWeight: Tensor([1, 2], [1, 0]), encoderBias: Tensor([1], [0]),
            decoderWeight: Tensor([1, 2], [1, 0]), decoderBias: Tensor([2], [0, 0]), threshold: Tensor([1], [1]))
        let x = Tensor([2, 2], [1.1, 0, -3, 0])
        let gradients = SAEGradients(for: autoencoder)
        let report = SparseLoss(autoencoder, options: options, engine: engine).evaluate(x, gradients: gradients)
        #expect(report.l0 == 0.5)
        // Token 0: pre 1.1, within 0.25 of the threshold, active, error 0, so d = 0; λ = 0.1 / 2 tokens.
        #expect(abs((gradients.threshold?.pointer[0] ?? 0) + 0.05 / 0.5) < 1e-6)
    }
}
