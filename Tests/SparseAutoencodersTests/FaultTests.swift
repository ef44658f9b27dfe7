import Checkpoints
import Files
import Foundation
import Ops
import SparseAutoencoders
import Tensors
import TestSupport
import Testing

/// Inputs that once ended in a trap, in numbers nobody meant, or in advice for somebody else.
@Suite struct FaultTests {
    typealias Runs = TrainingRunTests

    @Test func copyOfAnAutoencoderHasItsOwnWeights() throws {
        let engine = try Engine()
        let autoencoder = randomAutoencoder(Runs.configuration())
        let (same, copy) = (autoencoder, autoencoder.copy())
        let before = autoencoder.decoderWeight.array
        autoencoder.normalizeDecoder(engine: engine)
        #expect(same.decoderWeight.array == autoencoder.decoderWeight.array)
        #expect(copy.decoderWeight.array == before && before != autoencoder.decoderWeight.array)
    }

    /// L0 counts what is selected, `positives` what could have been.
    @Test func l0CountsEntriesAfterSelection() throws {
        let autoencoder = randomAutoencoder(SAEConfiguration(inputWidth: 12, numLatents: 48, k: 4))
        let x = CounterRandom(seed: 2, purpose: .noise).normals([40, 12])
        let report = try SparseLoss(autoencoder, engine: Engine()).evaluate(x)
        #expect(report.l0 <= 4 && report.positives > 12)
        #expect(Array(TrainingMetrics.columns[5...6]) == ["l0", "positives"])
        let trainer = try SAETrainer(autoencoder, options: Runs.options(), engine: Engine())
        let line = try trainer.train(x, positions: 8)
        #expect(line.values[5] == line.report.l0 && line.values[6] == line.report.positives)
    }

    @Test func featureThatIsNotThereIsRefused() async {
        await #expect(processExitsWith: .failure) {
            let autoencoder = randomAutoencoder(SAEConfiguration(inputWidth: 12, numLatents: 48, k: 4))
            _ = try autoencoder.backwardInput(of: 48, [1], x: Tensor.zeros([1, 12]), engine: Engine())
        }
    }

    @Test func sourceOutlivesItsStream() throws {
        let source = try ActivationStream(
            Runs.Pictures(["a", "b"]), keepsSamples: false, capacityTokens: 64, seed: 1).sources[0]
        #expect(try source.next(16)?.shape == [16, 12])
        #expect(source.picture > 0)
    }

    @Test func bufferThatCannotMixIsRefused() {
        #expect { try ActivationStream(Runs.Pictures(["a"]), keepsSamples: true, capacityTokens: 15, seed: 1) } throws: {
            ($0 as? any Failure)?.kind == .usage && "\($0)".contains("at least 16")
        }
    }

    private func store(_ folder: String) throws -> ActivationStore {
        try ActivationStore(folder: folder, layer: "mid", width: 2, positions: 3, pictures: 1, picturesPerFile: 1)
    }

    @Test(arguments: [Float.nan, .infinity, 1.5, 1e30])
    func timestepThatIsNotANumberIsRefused(step: Float) throws {
        let temporary = try TemporaryFolder()
        let store = try store(temporary.path)
        try SafetensorsWriter.write(
            [("activations", Tensor.zeros([3, 2])), ("timesteps", Tensor([1], [step]))], to: store.path(file: 0))
        #expect { try store.open(file: 0) } throws: {
            "\($0)".contains("shard-00000") && "\($0)".contains("timesteps")
        }
    }

    @Test func activationsBeyondHalfPrecisionAreKept() throws {
        let temporary = try TemporaryFolder()
        let store = try store(temporary.path)
        let map = Tensor([3, 2], [1, -7e4, 3e38, 0.1, 5, 6])
        try store.write(file: 0, maps: [map], timesteps: [501])
        try store.forEachMap { read, step in #expect(read.array == map.array && step == 501) }
        #expect(try store.open(file: 0).timesteps == [501])
        let file = try SafetensorsFile(path: store.path(file: 0))
        #expect(file.metadata["precision"]?.contains("3e+38") == true)
        let batch = try #require(try StoreSource([store], keepsSamples: true, seed: 1).next(3))
        #expect(batch.array == map.array)
    }

    @Test(arguments: [Float.nan, -.infinity]) func activationThatIsNotFiniteIsNotStored(value: Float) throws {
        let temporary = try TemporaryFolder()
        let store = try store(temporary.path)
        let maps = [Tensor.zeros([3, 2]), Tensor([3, 2], [0, 0, 0, value, 0, 0])]
        #expect { try store.write(file: 0, maps: maps, timesteps: [1, 301]) } throws: {
            "\($0)".contains("map 1, time step 301")
        }
        #expect(!store.has(file: 0))
    }

    private func run(_ folder: String, _ options: TrainingOptions = Runs.options()) throws -> TrainingRun {
        let store = try ActivationStore(folder: "\(folder)/store")
        return try TrainingRun(
            folder: "\(folder)/run", hookpoint: "unet.mid", configuration: Runs.configuration(), options: options,
            source: StoreSource([store], keepsSamples: false, seed: 5), interval: 2, engine: Engine())
    }

    /// A checkpoint with one of its tensors or members replaced.
    private func doctored(_ folder: String, _ state: (inout JSONObject) -> Void, sinceFired: Weight? = nil) throws {
        let path = TrainingRun.checkpointPath("\(folder)/run")
        let file = try SafetensorsFile(path: path)
        var object = try JSON.parse(file.metadata["state"] ?? "").object ?? JSONObject()
        state(&object)
        let weights = file.weights.map { $0.name == "since_fired" ? sinceFired ?? $0 : $0 }
        try SafetensorsWriter.write(
            weights, metadata: ["state": JSON.object(object).serialized()], to: path, overwrite: true)
    }

    @Test func damagedCheckpointIsRefused() throws {
        let temporary = try TemporaryFolder()
        _ = try Runs.makeStore(temporary.file("store"))
        try run(temporary.path).advance(2)
        let floats = Weight(name: "since_fired", tensor: Tensor.zeros([48]))
        let negative = Weight(name: "since_fired", shape: [48], integers: [Int](repeating: -1, count: 48))
        for bad in [floats, negative] {
            try doctored(temporary.path, { _ in }, sinceFired: bad)
            #expect { try run(temporary.path) } throws: { "\($0)".contains("since_fired") }
        }
        let good = Weight(name: "since_fired", shape: [48], integers: [Int](repeating: 0, count: 48))
        try doctored(temporary.path, { _ in }, sinceFired: good)
        #expect(try run(temporary.path).trainer.step == 2)
        for (key, value) in [("metrics", [-1, 0] as JSON), ("metrics", [1]), ("step", -3)] {
            try doctored(temporary.path) { $0[key] = value }
            #expect { try run(temporary.path) } throws: { "\($0)".contains("no training state") }
            try doctored(temporary.path) { ($0["metrics"], $0["step"]) = ([0, 0], 2) }
        }
    }

    @Test func logOfOtherColumnsIsNotContinued() throws {
        let temporary = try TemporaryFolder()
        _ = try Runs.makeStore(temporary.file("store"))
        try run(temporary.path).advance(2)
        let path = temporary.file("run/metrics.csv")
        let text = try String(contentsOfFile: path, encoding: .utf8).replacing("positives", with: "active")
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        #expect { try run(temporary.path) } throws: { "\($0)".contains("metrics.csv: expected the columns") }
    }

    @Test func divergenceSaysWhatIsLeft() throws {
        let temporary = try TemporaryFolder()
        _ = try Runs.makeStore(temporary.file("store"))
        var options = Runs.options()
        (options.learningRate, options.schedule, options.resampleEvery) = (1e20, .constant, 0)
        #expect { try run(temporary.path, options).advance() } throws: { error in
            guard let divergence = error as? TrainingDivergence else { return false }
            return divergence.kind == .badData && !divergence.isBatchDamaged && divergence.checkpointStep != nil
                && "\(divergence)".contains("lower the learning rate")
        }
        let trainer = try SAETrainer(randomAutoencoder(Runs.configuration()), options: options, engine: Engine())
        let damaged = Tensor([64, 12], (0..<768).map { $0 == 5 ? .infinity : Float($0 % 7) })
        #expect { try trainer.train(damaged, positions: 8) } throws: { error in
            (error as? TrainingDivergence)?.checkpointStep == nil
                && "\(error)".contains("the activations hold NaN or infinity") && !"\(error)".contains("checkpoint")
        }
    }
}
