import Checkpoints
import Files
import Ops
import SparseAutoencoders
import Tensors
import Testing

/// Twelve training steps of the published class in PyTorch, step by step: losses to 1e-5, gradients and weights to
/// 1e-4.
@Suite struct GoldenTests {
    static let tags = ["topk", "batch_topk", "sample_topk", "topk_multi", "topk_unit", "batch_topk_dead"]

    struct Run {
        let tag: String
        let file: SafetensorsFile
        let json: JSON
        let configuration: SAEConfiguration

        init(_ tag: String) throws {
            self.tag = tag
            file = try SafetensorsFile(path: fixture("sae.safetensors"))
            guard let json = try JSON.read(fixture("sae.json"))[tag], var object = json["config"]?.object else {
                throw SimpleFailure(.badData, "sae.json: no \(tag)")
            }
            object["d_in"] = json["d_in"]
            object["k"] = json["k"]
            self.json = json
            configuration = try SAEConfiguration(ConfigFile(file: "sae.json", json: .object(object)))
        }

        func tensor(_ name: String) throws -> Tensor {
            let weight = try file.weight("\(tag)/\(name)")
            return Tensor(weight.shape, weight.floats())
        }

        func number(_ key: String, step: Int) -> Double { json["log"]?.array?[step][key]?.double ?? .nan }
        func number(_ key: String) -> Double { json[key]?.double ?? .nan }

        func autoencoder() throws -> SparseAutoencoder {
            try SparseAutoencoder(
                configuration: configuration, encoderWeight: tensor("init/encoder.weight"),
                encoderBias: tensor("init/encoder.bias"), decoderWeight: tensor("init/W_dec"),
                decoderBias: tensor("init/b_dec"))
        }
    }

    @Test(arguments: tags) func trainsAsPublished(tag: String) throws {
        let run = try Run(tag)
        let engine = try Engine()
        let autoencoder = try run.autoencoder()
        let gradients = SAEGradients(for: autoencoder)
        let adam = SAEAdam(for: autoencoder, engine: engine)
        var options = LossOptions()
        options.auxkAlpha = Float(run.number("auxk_alpha"))
        let scale = run.number("loss_scale")
        var sinceFired = [Double](repeating: 0, count: autoencoder.numLatents)
        for step in 0..<12 {
            let batch = try run.tensor("batch/\(step)")
            autoencoder.normalizeDecoder(engine: engine)
            let dead =
                run.json["dead_given"]?.bool == true
                ? try run.tensor("dead/\(step)").array.map { $0 != 0 }
                : sinceFired.map { $0 > run.number("dead_threshold_tokens") }
            let report = SparseLoss(autoencoder, options: options, engine: engine)
                .evaluate(batch, positions: batch.shape[1], dead: dead, gradients: gradients)
            compare(report, run, step)
            if step == 0 || step == 8 {
                for (parameter, gradient) in zip(autoencoder.parameters, gradients.tensors) {
                    let expected = try run.tensor("grad\(step)/\(parameter.name)").array
                    let error = relativeError(gradient.array.map { $0 * Float(scale) }, expected)
                    #expect(error < 1e-4, "step \(step), gradient of \(parameter.name)")
                }
            }
            let norm = gradients.norm(engine: engine)
            adam.update(
                autoencoder, gradients, norm: norm, step: step + 1, learningRate: run.number("lr"),
                gradientScale: scale)
            #expect(abs(norm * scale / run.number("grad_norm", step: step) - 1) < 1e-4, "step \(step), norm")
            for feature in sinceFired.indices {
                sinceFired[feature] = report.fired[feature] ? 0 : sinceFired[feature] + Double(batch.rows)
            }
        }
        for parameter in autoencoder.parameters {
            let expected = try run.tensor("final/\(parameter.name)").array
            #expect(relativeError(parameter.tensor.array, expected) < 1e-4, "final \(parameter.name)")
        }
    }

    private func compare(_ report: LossReport, _ run: Run, _ step: Int) {
        let pairs: [(String, Double)] = [
            ("fvu", report.fvu), ("auxk", report.auxk), ("multi", report.multiTopK), ("l0", report.positives),
            ("l2", report.l2), ("explained", report.explainedVariance), ("dead", Double(report.deadCount)),
        ]
        for (key, value) in pairs {
            let expected = run.number(key, step: step)
            #expect(abs(value - expected) <= 1e-5 * abs(expected), "step \(step), \(key): \(value), not \(expected)")
        }
    }

    @Test(arguments: tags) func selectsAndDecodesAsPublished(tag: String) throws {
        let run = try Run(tag)
        let engine = try Engine()
        var autoencoder = try run.autoencoder()
        autoencoder.normalizeDecoder(engine: engine)
        if run.configuration.multiTopK {
            var configuration = run.configuration
            configuration.k *= 4
            configuration.multiTopK = false
            autoencoder = SparseAutoencoder(
                configuration: configuration, encoderWeight: autoencoder.encoderWeight,
                encoderBias: autoencoder.encoderBias, decoderWeight: autoencoder.decoderWeight,
                decoderBias: autoencoder.decoderBias)
        }
        let batch = try run.tensor("batch/0")
        let codes = autoencoder.encode(batch, training: true, positions: batch.shape[1], engine: engine)
        let acts = try run.tensor("acts0")
        for token in 0..<codes.tokens {
            let expected = acts.slice(token..<token + 1).array.filter { $0 != 0 }.sorted()
            let found = codes.entries(of: token).map(\.value).filter { $0 != 0 }.sorted()
            #expect(relativeError(found, expected) < 1e-5, "token \(token)")
        }
        let out = autoencoder.decode(codes, of: batch, engine: engine)
        #expect(try relativeError(out.array, run.tensor("out0").array) < 1e-5)
    }
}
