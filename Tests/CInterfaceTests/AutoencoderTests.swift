import CLVO
import Experiments
import Files
import Ops
import SparseAutoencoders
import Tensors
import TestSupport
import Testing

@Suite struct CAutoencoderTests {
    private let engine: Engine
    private let library: SparseAutoencoder
    private let sae: Handle
    private let x = randomFloats(100 * 64, seed: 3, scale: 3)

    init() throws {
        engine = try Engine(threads: 2)
        library = try SparseAutoencoder(folder: SAEFolder.find(layer: layer, in: EmbeddedModel.autoencoders()))
        sae = try Handle.autoencoder()
    }

    private var codes: SparseCodes { library.encode(Tensor([100, 64], x), engine: engine) }

    private func dense(selected: Int32) throws -> [Float] {
        var features = [Float](repeating: .nan, count: 100 * 768)
        try call { lvo_sae_encode(sae.pointer, x, [100, 64], selected, &features, 76800, $0) }
        return features
    }

    @Test func itDescribesItself() throws {
        let description = try json { lvo_sae_describe(sae.pointer, $0, $1) }
        #expect(description["width"] == 64 && description["features"] == 768 && description["k"] == 8)
        #expect(description["rule"] == "batch_topk" && description["layer"] == .string(layer))
    }

    @Test func parametersAreTheLibrarys() throws {
        let result = try Handle.result { lvo_sae_parameters(sae.pointer, $0, $1) }
        for (name, tensor) in library.parameters {
            let (shape, values) = try result.array(name)
            #expect(shape == tensor.shape && values == tensor.array, "\(name)")
        }
        #expect(refusal { error in
            var (data, type, rank): (UnsafeRawPointer?, Int32, Int32) = (nil, 0, 0)
            var shape = [Int64](repeating: 0, count: 8)
            return lvo_result_array(result.pointer, "w", &data, &type, &rank, &shape, error)
        }?.message == "no array w in this result; there are: encoder.weight, encoder.bias, W_dec, b_dec")
    }

    @Test func featuresAreTheLibrarys() throws {
        let (features, all) = (try dense(selected: 1), try dense(selected: 0))
        let before = FeatureEncoder(library, engine: engine).preActivations(Tensor([100, 64], x)).array
        #expect(all == before)
        for token in 0..<100 {
            let row = Array(features[token * 768..<(token + 1) * 768])
            let expected = codes.entries(of: token)
            #expect(row.count { $0 != 0 } == expected.count { $0.value != 0 })
            for (feature, value) in expected { #expect(row[feature] == value) }
        }
    }

    @Test func theLargestComeFirstAndDecodeToTheSame() throws {
        var indices = [Int32](repeating: 9, count: 100 * 12)
        var values = [Float](repeating: 9, count: 100 * 12)
        try call { lvo_sae_encode_top(sae.pointer, x, [100, 64], 12, &indices, &values, 1200, $0) }
        for token in 0..<100 {
            let row = token * 12..<token * 12 + 8
            #expect(zip(values[row], values[row].dropFirst()).allSatisfy { $0 >= $1 })
            // The autoencoder keeps eight.
            #expect(indices[row.upperBound..<row.upperBound + 4].allSatisfy { $0 == -1 })
            #expect(values[row.upperBound..<row.upperBound + 4].allSatisfy { $0 == 0 })
        }
        var (sparse, full) = ([Float](repeating: 0, count: 6400), [Float](repeating: 0, count: 6400))
        let features = try dense(selected: 1)
        try call { lvo_sae_decode_top(sae.pointer, indices, values, [100, 12], nil, &sparse, 6400, $0) }
        try call { lvo_sae_decode(sae.pointer, features, [100, 768], nil, &full, 6400, $0) }
        #expect(sparse == full)
        #expect(full == library.decode(codes, of: Tensor([100, 64], x), engine: engine).array)
    }

    @Test func wrongShapesAndIndicesAreNamed() {
        var out = [Float](repeating: 0, count: 6400)
        #expect(
            refusal { lvo_sae_encode(sae.pointer, x, [100, 63], 1, &out, 6400, $0) }?.message
                == "x: expected [n, 64], found [100, 63]")
        #expect(
            refusal { lvo_sae_encode(sae.pointer, x, [100, 64], 1, &out, 6400, $0) }?.message
                == "features: expected 76800 elements, [100, 768], found 6400")
        #expect(
            refusal { lvo_sae_decode_top(sae.pointer, [768], [1], [1, 1], nil, &out, 64, $0) }?.message
                == "indices: expected -1 to 767, found 768")
        var index: Int32 = 0
        #expect(
            refusal { lvo_sae_encode_top(sae.pointer, x, [100, 64], 769, &index, &out, 1, $0) }?.message
                == "k: expected 1 to 768, found 769")
    }

    @Test func whatIsSavedIsOpenedAgain() throws {
        let folder = try TemporaryFolder()
        for format in ["published", "saelens"] {
            let path = folder.file(format)
            try call { lvo_sae_save(sae.pointer, path, format, "f32", nil, 0, $0) }
            let again = try Handle.autoencoder(#"{"path": "\#(path)"}"#)
            let parameters = try Handle.result { lvo_sae_parameters(again.pointer, $0, $1) }
            #expect(try parameters.array("W_dec").values == library.decoderWeight.array)
            #expect(refusal { lvo_sae_save(sae.pointer, path, format, "f32", nil, 0, $0) }?.code == LVO_CANNOT_WRITE)
        }
        #expect(
            refusal { lvo_sae_save(sae.pointer, folder.path, "torch", "f32", nil, 0, $0) }?.message
                == "format: expected published or saelens, found torch")
    }
}

@Suite struct CTrainerTests {
    private static let settings = """
        {"width": 16, "latents": 64, "k": 4, "steps": 5, "batch_tokens": 96, "learning_rate": 0.001, "seed": 3, "threads": 2}
        """

    private func batch(_ step: Int) -> [Float] { randomFloats(96 * 16, seed: UInt64(step + 1)) }

    @Test func trainingIsTheLibrarys() throws {
        let trainer = try Handle.trainer(Self.settings)
        let engine = try Engine(threads: 2)
        var (settings, options) = (AutoencoderSettings(), TrainingOptions())
        (settings.latents, settings.k) = (64, 4)
        (options.steps, options.batchTokens, options.learningRate, options.seed) = (5, 96, 1e-3, 3)
        settings.training = options
        let expected = SAETrainer(
            SparseAutoencoder(
                configuration: try settings.configuration(width: 16), firstBatch: Tensor([96, 16], batch(0)), seed: 3,
                engine: engine), options: options, engine: engine)
        for step in 0..<5 {
            let metrics = try json { lvo_trainer_step(trainer.pointer, batch(step), [96, 16], 1, $0, $1) }
            let line = try expected.train(Tensor([96, 16], batch(step)), positions: 1)
            #expect(metrics["step"]?.int == step + 1 && metrics["loss"]?.double == line.report.loss)
        }
        let sae = try Handle(free: { lvo_sae_free($0) }) { lvo_trainer_sae(trainer.pointer, $0, $1) }
        let parameters = try Handle.result { lvo_sae_parameters(sae.pointer, $0, $1) }
        expected.autoencoder.normalizeDecoder(engine: engine)
        for (name, tensor) in expected.autoencoder.parameters {
            #expect(try parameters.array(name).values == tensor.array, "\(name)")
        }
        let description = try json { lvo_trainer_describe(trainer.pointer, $0, $1) }
        #expect(description["step"] == 5 && description["is_finished"] == true && description["latents"] == 64)
        #expect(
            refusal { lvo_trainer_step(trainer.pointer, batch(5), [96, 16], 1, nil, $0) }?.message == "all 5 steps are done")
    }

    @Test(arguments: [
        ("{}", LVO_INVALID_ARGUMENT, "settings: width is needed"),
        (#"{"width": 16, "k": 300}"#, LVO_INVALID_ARGUMENT, "k 300: expected at most latents = 256"),
        (#"{"width": 16, "rule": "top"}"#, LVO_INVALID_ARGUMENT, "rule: expected one of topk"),
        (#"{"width": 16, "l1": -1}"#, LVO_INVALID_ARGUMENT, "l1: expected a number of at least 0"),
        (#"{"width": 1048576, "latents": 1048576, "batch_tokens": 64}"#, LVO_OUT_OF_MEMORY, "in training"),
        (#"{"width": 16, "latents": 1048576}"#, LVO_INVALID_ARGUMENT, "batch of 4096 tokens"),
    ])
    func settingsAreChecked(settings: String, code: Int, message: String) {
        var trainer: OpaquePointer?
        let error = refusal { lvo_trainer_open(settings, &trainer, $0) }
        #expect(error?.code == code && error?.message.contains(message) == true, "\(error?.message ?? "none")")
    }

    @Test func stepsAreChecked() throws {
        let trainer = try Handle.trainer(Self.settings)
        func message(_ batch: [Float], _ shape: [Int64], _ positions: Int64 = 1) -> String? {
            refusal { lvo_trainer_step(trainer.pointer, batch, shape, positions, nil, $0) }?.message
        }
        #expect(message(batch(0), [48, 32]) == "batch: expected [96, 16], found [48, 32]")
        #expect(message(batch(0), [96, 16], 7) == "positions: expected a divisor of the batch's 96 rows, found 7")
        var damaged = batch(0)
        damaged[17] = .infinity
        #expect(message(damaged, [96, 16]) == "batch: expected finite numbers, found inf at [1, 1]")
        var sae: OpaquePointer?
        #expect(
            refusal { lvo_trainer_sae(trainer.pointer, &sae, $0) }?.message
                == "there is no autoencoder before the first step")
    }
}
