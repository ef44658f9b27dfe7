import Files
import Foundation
import Ops
import SparseAutoencoders
import Tensors
import Testing
import TestSupport

@Suite struct TrainingRunTests {
    static func configuration(_ rule: SelectionRule = .batchTopK) -> SAEConfiguration {
        SAEConfiguration(inputWidth: 12, numLatents: 48, k: rule == .sampleTopK ? 24 : 4, rule: rule)
    }

    static func options(steps: Int = 24) -> TrainingOptions {
        var options = TrainingOptions()
        (options.batchTokens, options.steps, options.learningRate) = (64, steps, 3e-3)
        (options.schedule, options.warmUp, options.deadAfterTokens) = (.cosine, 3, 200)
        (options.resampleEvery, options.seed) = (7, 5)
        return options
    }

    /// Pictures of four maps of 8 tokens (16 in layer `b`) for each layer.
    final class Pictures: PictureActivations {
        let origin: JSON = "test"
        let layers: [(name: String, width: Int, positions: Int)]
        private(set) var made: [Int] = []
        init(_ names: [String]) { layers = names.map { ($0, 12, $0 == "b" ? 16 : 8) } }

        func picture(_ index: Int) throws -> [[Tensor]]? {
            made.append(index)
            return layers.map { layer in
                let unit = UInt64(layer.name.utf8.reduce(0) { $0 + Int($1) })
                let random = CounterRandom(seed: 1, purpose: .noise, unit: unit, step: UInt64(index))
                return (0..<4).map { map in
                    let tensor = Tensor([layer.positions, 12])
                    random.fillNormal(tensor.pointer, count: tensor.count, from: map * tensor.count)
                    return tensor
                }
            }
        }
    }

    /// A store of six pictures of four maps, two a file, of which the first so many files are there.
    static func makeStore(_ folder: String, files: Int = 3) throws -> ActivationStore {
        let store = try ActivationStore(
            folder: folder, layer: "mid", width: 12, positions: 8, pictures: 6, picturesPerFile: 2)
        for file in 0..<files { try write(file, to: store) }
        return store
    }

    static func write(_ file: Int, to store: ActivationStore) throws {
        let pictures = Pictures(["mid"])
        let maps = try store.pictures(file: file).flatMap { try pictures.picture($0)?[0] ?? [] }
        try store.write(file: file, maps: maps, timesteps: maps.indices.map { $0 % 4 * 100 })
    }

    static func weights(_ folder: String) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: "\(folder)/unet.mid/sae.safetensors"))
    }

    /// Steps without the column of tokens per second.
    static func metrics(_ folder: String) throws -> [String] {
        try String(contentsOfFile: "\(folder)/metrics.csv", encoding: .utf8).split(separator: "\n")
            .map { $0.split(separator: ",").dropLast().joined(separator: ",") }
    }

    @Test(arguments: [SelectionRule.batchTopK, .sampleTopK], Precision.allCases)
    func interruptedRunEndsTheSame(rule: SelectionRule, precision: Precision) throws {
        let temporary = try TemporaryFolder()
        let store = try Self.makeStore(temporary.file("store"))
        func run(_ folder: String) throws -> TrainingRun {
            try TrainingRun(
                folder: folder, hookpoint: "unet.mid", configuration: Self.configuration(rule), options: Self.options(),
                source: StoreSource([store], keepsSamples: rule == .sampleTopK, seed: 5), interval: 5,
                engine: Engine(instructionSet: "baseline", precision: precision))
        }
        try run(temporary.file("whole")).advance()
        // Thrown away between checkpoints, as a kill would; then stopped by a signal; then to the end.
        try run(temporary.file("parts")).advance(8)
        var count = 0
        try run(temporary.file("parts")).advance(shallStop: {
            count += 1
            return count == 4
        })
        let last = try run(temporary.file("parts"))
        #expect(last.trainer.step == 9)
        try last.advance()
        #expect(try Self.weights(temporary.file("whole")) == Self.weights(temporary.file("parts")))
        #expect(try Self.metrics(temporary.file("whole")) == Self.metrics(temporary.file("parts")))
        #expect(try Self.metrics(temporary.file("whole")).count == 25)
    }

    @Test func otherSettingsAreRefused() throws {
        let temporary = try TemporaryFolder()
        let store = try Self.makeStore(temporary.file("store"))
        func run(_ options: TrainingOptions, _ precision: Precision = .float32) throws -> TrainingRun {
            try TrainingRun(
                folder: temporary.file("run"), hookpoint: "unet.mid", configuration: Self.configuration(),
                options: options, source: StoreSource([store], keepsSamples: false, seed: 5), interval: 5,
                engine: Engine(instructionSet: "baseline", precision: precision))
        }
        try run(Self.options()).advance(6)
        var other = Self.options()
        other.learningRate = 1e-3
        #expect { try run(other) } throws: { "\($0)".contains("learning_rate") }
        #expect { try run(Self.options(), .bfloat16) } throws: { "\($0)".contains("precision null, not \"bf16\"") }
    }

    /// Trains layers side by side; returns the pictures that were made.
    private func train(
        _ names: [String], _ folder: String, steps: Int = 12, stopAfter: Int? = nil
    ) throws -> [Int] {
        let pictures = Pictures(names)
        let stream = try ActivationStream(pictures, keepsSamples: false, capacityTokens: 256, seed: 5)
        let runs = try zip(names, stream.sources).map { name, source in
            (
                run: try TrainingRun(
                    folder: "\(folder)/\(name)", hookpoint: "unet.mid", configuration: Self.configuration(),
                    options: Self.options(steps: steps), source: source, interval: 5, engine: Engine()),
                source: source
            )
        }
        var done = 0
        try trainTogether(runs, shallStop: { stopAfter.map { done >= $0 } ?? false }) { _, _ in done += 1 }
        return pictures.made
    }

    /// Layers of different sizes, which take pictures at different rates; stopped at any step, even before all have
    /// taken their first.
    @Test(arguments: [0, 1, 9, 30]) func layersTrainedTogetherAreAsTrainedAlone(stopAfter: Int) throws {
        let temporary = try TemporaryFolder()
        for stop in [stopAfter, nil] {
            _ = try train(["a", "b", "c"], temporary.file("both"), stopAfter: stop)
        }
        for name in ["a", "b", "c"] {
            _ = try train([name], temporary.file("alone"))
            #expect(
                try Self.weights(temporary.file("both/\(name)")) == Self.weights(temporary.file("alone/\(name)")))
        }
    }

    /// One pass of the model feeds all layers.
    @Test func pictureIsMadeOnceForAllLayers() throws {
        let temporary = try TemporaryFolder()
        let alone = try train(["a"], temporary.file("alone"))
        let together = try train(["a", "b", "c"], temporary.file("together"))
        #expect(together == Array(0..<alone.count))
    }

    /// Killed after the last checkpoint and before the result was written.
    @Test func finishedRunWritesItsResult() throws {
        let temporary = try TemporaryFolder()
        _ = try train(["a", "c"], temporary.path)
        let whole = try Self.weights(temporary.file("a"))
        try FileManager.default.removeItem(atPath: temporary.file("a/unet.mid"))
        #expect(try train(["a", "c"], temporary.path) == [])
        #expect(try Self.weights(temporary.file("a")) == whole)
    }

    @Test func otherPicturesAreRefused() throws {
        let temporary = try TemporaryFolder()
        let store = try Self.makeStore(temporary.file("store"))
        func run(_ origin: JSON) throws -> TrainingRun {
            let other = try ActivationStore(
                folder: temporary.file("\(origin.serialized().count)"), layer: "mid", width: 12, positions: 8,
                pictures: 6, picturesPerFile: 2, origin: origin)
            for file in 0..<3 {
                try FileManager.default.copyItem(atPath: store.path(file: file), toPath: other.path(file: file))
            }
            return try TrainingRun(
                folder: temporary.file("run"), hookpoint: "unet.mid", configuration: Self.configuration(),
                options: Self.options(), source: StoreSource([other], keepsSamples: false, seed: 5), interval: 5,
                engine: Engine())
        }
        try run(["prompts": "a"]).advance(6)
        #expect { try run(["prompts": "bc"]) } throws: { "\($0)".contains("prompts \"a\", not \"bc\"") }
    }

    @Test func trainingImproves() throws {
        let temporary = try TemporaryFolder()
        let store = try Self.makeStore(temporary.file("store"))
        var options = Self.options(steps: 200)
        options.resampleEvery = 0
        let run = try TrainingRun(
            folder: temporary.file("run"), hookpoint: "unet.mid", configuration: Self.configuration(), options: options,
            source: StoreSource([store], keepsSamples: false, seed: 5), interval: 100, engine: Engine())
        var fvu: [Double] = []
        try run.advance(progress: { fvu.append($0.report.fvu) })
        #expect(fvu[199] < 0.8 * fvu[0])
    }

    @Test func divergenceIsReported() throws {
        let configuration = Self.configuration()
        let engine = try Engine()
        let x = Tensor([64, 12], (0..<768).map { $0 == 5 ? .nan : Float($0 % 7) })
        let trainer = SAETrainer(randomAutoencoder(configuration), options: Self.options(), engine: engine)
        #expect(throws: TrainingDivergence.self) { try trainer.train(x, positions: 8) }
        #expect(trainer.step == 0)
    }
}
