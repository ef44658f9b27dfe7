import Ops
import SparseAutoencoders
import Tensors
import Testing

/// Fused selection against sorting the dense matrix, in all sizes that leave remainders, for every instruction set
/// here.
@Suite struct SelectionTests {
    static let sizes = [
        (tokens: 1, width: 3, latents: 5), (13, 24, 96), (97, 17, 130), (200, 40, 33), (230, 8, 300),
    ]

    /// Rounded values, so that there are many ties: equal activations are settled by the lower index.
    func autoencoder(_ rule: SelectionRule, _ width: Int, _ latents: Int, k: Int) -> SparseAutoencoder {
        let random = randomAutoencoder(SAEConfiguration(inputWidth: width, numLatents: latents, k: k, rule: rule))
        for parameter in random.parameters where parameter.name != "W_dec" {
            for i in 0..<parameter.tensor.count {
                parameter.tensor.pointer[i] = parameter.tensor.pointer[i].rounded()
            }
        }
        return random
    }

    func tokens(_ count: Int, _ width: Int) -> Tensor {
        let normals = CounterRandom(seed: 9, purpose: .noise).normals([count, width])
        return Tensor([count, width], normals.array.map { $0.rounded() })
    }

    /// Features of each token that are among the `keep` largest of its group, by a full sort of whole numbers.
    func expected(_ autoencoder: SparseAutoencoder, _ x: Tensor, group: Int, keep: Int) -> [[Int]] {
        let (d, l) = (autoencoder.inputWidth, autoencoder.numLatents)
        var result = [[Int]](repeating: [], count: x.rows)
        for first in stride(from: 0, to: x.rows, by: group) {
            var entries: [(value: Float, token: Int, feature: Int)] = []
            for token in first..<min(x.rows, first + group) {
                for feature in 0..<l {
                    var sum = autoencoder.encoderBias.pointer[feature]
                    for i in 0..<d {
                        sum += (x.pointer[token * d + i] - autoencoder.decoderBias.pointer[i])
                            * autoencoder.encoderWeight.pointer[feature * d + i]
                    }
                    entries.append((max(0, sum), token, feature))
                }
            }
            entries.sort { ($1.value, $0.token, $0.feature) < ($0.value, $1.token, $1.feature) }
            for entry in entries.prefix(keep) { result[entry.token].append(entry.feature) }
        }
        return result.map { $0.sorted() }
    }

    @Test(arguments: sizes.indices, [SelectionRule.topK, .batchTopK, .sampleTopK])
    func agreesWithSorting(size: Int, rule: SelectionRule) throws {
        let (count, width, latents) = Self.sizes[size]
        let x = tokens(count, width)
        let autoencoder = autoencoder(rule, width, latents, k: 3)
        let group = rule == .topK ? 1 : rule == .batchTopK ? count : 7
        let keep = rule == .batchTopK ? 3 * count : 3
        let sorted = expected(autoencoder, x, group: group, keep: keep)
        for set in InstructionSet.supported {
            for threads in [1, 3, 64] {
                for precision in Precision.allCases {
                    let engine = try Engine(instructionSet: set, threads: threads, precision: precision)
                    let codes = autoencoder.encode(x, training: true, positions: 7, engine: engine)
                    for token in 0..<count {
                        #expect(
                            codes.entries(of: token).map(\.feature) == sorted[token],
                            "\(set), \(precision), token \(token)")
                    }
                }
            }
        }
    }

    /// Each feature's row beside a copy that is longer by less than bfloat16 can tell: float32 takes the longer one, whichever
    /// of them comes first, and so must a screen in bfloat16.
    @Test(arguments: [SelectionRule.topK, .batchTopK, .sampleTopK])
    func roundingDoesNotDecideBetweenNeighbours(rule: SelectionRule) throws {
        let (pairs, width, count) = (200, 130, 60)
        let k = rule == .sampleTopK ? 20 : 5
        let autoencoder = randomAutoencoder(
            SAEConfiguration(inputWidth: width, numLatents: 2 * pairs, k: k, rule: rule))
        for pair in 0..<pairs {
            for i in 0..<width {
                let value = autoencoder.encoderWeight.pointer[2 * pair * width + i]
                autoencoder.encoderWeight.pointer[(2 * pair + 1) * width + i] = value * (pair % 2 == 0 ? 1.0002 : 0.9998)
            }
            autoencoder.encoderBias.pointer[2 * pair + 1] = autoencoder.encoderBias.pointer[2 * pair]
        }
        let x = CounterRandom(seed: 9, purpose: .noise).normals([count, width])
        for token in 0..<count { for i in 0..<width { x.pointer[token * width + i] *= token % 9 == 0 ? 100 : 1 } }
        for set in InstructionSet.supported {
            let codes = try Precision.allCases.map { precision in
                autoencoder.encode(
                    x, training: true, positions: 10,
                    engine: try Engine(instructionSet: set, threads: 2, precision: precision))
            }
            for token in 0..<count {
                let (exact, rounded) = (codes[0].entries(of: token), codes[1].entries(of: token))
                #expect(exact.map(\.feature) == rounded.map(\.feature), "\(set), token \(token)")
                for (a, b) in zip(exact, rounded) {
                    #expect(abs(a.value - b.value) <= 1e-5 * (1 + abs(a.value)), "\(set), token \(token)")
                }
            }
        }
    }

    @Test func inferenceIsTopK() throws {
        let engine = try Engine()
        let autoencoder = autoencoder(.batchTopK, 24, 96, k: 5)
        let codes = autoencoder.encode(tokens(30, 24), engine: engine)
        #expect((0..<30).allSatisfy { codes.entries(of: $0).count == 5 })
    }

    @Test func thresholdsSelectWhatIsAbove() throws {
        let engine = try Engine()
        let autoencoder = randomAutoencoder(SAEConfiguration(inputWidth: 12, numLatents: 50, k: 1, rule: .jumpReLU))
        for feature in 0..<50 { autoencoder.threshold?.pointer[feature] = Float(feature % 5) }
        let x = CounterRandom(seed: 9, purpose: .noise).normals([20, 12])
        let codes = autoencoder.encode(x, engine: engine)
        let pre = FeatureEncoder(autoencoder, engine: engine).preActivations(x)
        for token in 0..<20 {
            let above = (0..<50).filter { pre.pointer[token * 50 + $0] > Float($0 % 5) }
            #expect(codes.entries(of: token).map(\.feature) == above)
        }
        #expect(codes.count > 0 && codes.count < 20 * 50 / 2)
    }
}
