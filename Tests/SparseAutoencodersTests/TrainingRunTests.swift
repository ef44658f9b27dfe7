import Foundation
import Ops
import SparseAutoencoders
import Tensors
import TestSupport
import Testing

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

    /// Pictures of four maps of 8 tokens for each of two layers.
    final class Pictures: PictureActivations {
        let layers: [(name: String, width: Int, positions: Int)]
        init(_ names: [String]) { layers = names.map { ($0, 12, 8) } }

        func picture(_ index: Int) throws -> [[Tensor]]? {
            return layers.map { layer in
                let unit = UInt64(layer.name.utf8.reduce(0) { $0 + Int($1) })
                let random = CounterRandom(seed: 1, purpose: .noise, unit: unit, step: UInt64(index))
                return (0..<4).map { map in
                    let tensor = Tensor([8, 12])
                    random.fillNormal(tensor.pointer, count: 96, from: map * 96)
                    return tensor
                }
            }
        }
    }

    static func makeStore(_ folder: String, shards: Int = 3) throws -> ActivationStore {
        let store = try ActivationStore(folder: folder, layer: "mid", width: 12, positions: 8, picturesPerShard: 2)
        let pictures = Pictures(["mid"])
        for shard in 0..<shards {
            let maps = try (0..<2).flatMap { try pictures.picture(shard * 2 + $0)?[0] ?? [] }
            try store.write(shard: shard, maps: maps, timesteps: maps.indices.map { $0 % 4 * 100 })
        }
        return store
    }

    static func weights(_ folder: String) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: "\(folder)/unet.mid/sae.safetensors"))
    }

    /// Steps without the column of tokens per second.
    static func metrics(_ folder: String) throws -> [String] {
        try String(contentsOfFile: "\(folder)/metrics.csv", encoding: .utf8).split(separator: "\n")
            .map { $0.split(separator: ",").dropLast().joined(separator: ",") }
    }

    @Test(arguments: [SelectionRule.batchTopK, .sampleTopK])
    func interruptedRunEndsTheSame(rule: SelectionRule) throws {
        let temporary = try TemporaryFolder()
        let store = try Self.makeStore(temporary.file("store"))
        func run(_ folder: String) throws -> TrainingRun {
            try TrainingRun(
                folder: folder, hookpoint: "unet.mid", configuration: Self.configuration(rule), options: Self.options(),
                source: StoreSource(store, keepsSamples: rule == .sampleTopK, seed: 5), interval: 5, engine: Engine())
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
        func run(_ options: TrainingOptions) throws -> TrainingRun {
            try TrainingRun(
                folder: temporary.file("run"), hookpoint: "unet.mid", configuration: Self.configuration(),
                options: options, source: StoreSource(store, keepsSamples: false, seed: 5), interval: 5,
                engine: Engine())
        }
        try run(Self.options()).advance(6)
        var other = Self.options()
        other.learningRate = 1e-3
        #expect { try run(other) } throws: { "\($0)".contains("learning_rate") }
    }

    @Test func layersTrainedTogetherAreAsTrainedAlone() throws {
        let temporary = try TemporaryFolder()
        func train(_ names: [String], _ folder: String, stopAfter: Int? = nil) throws {
            let pictures = Pictures(names)
            let stream = ActivationStream(pictures, keepsSamples: false, capacityTokens: 256, seed: 5)
            let runs = try zip(names, stream.sources).map { name, source in
                (
                    run: try TrainingRun(
                        folder: "\(folder)/\(name)", hookpoint: "unet.mid", configuration: Self.configuration(),
                        options: Self.options(steps: 12), source: source, interval: 5, engine: Engine()),
                    source: source
                )
            }
            var steps = 0
            try trainTogether(runs, shallStop: { stopAfter.map { steps >= $0 } ?? false }) { _, _ in steps += 1 }
        }
        try train(["a", "b"], temporary.file("both"), stopAfter: 9)
        try train(["a", "b"], temporary.file("both"))
        for name in ["a", "b"] {
            try train([name], temporary.file("alone"))
            #expect(
                try Self.weights(temporary.file("both/\(name)")) == Self.weights(temporary.file("alone/\(name)")))
        }
    }

    @Test func trainingImproves() throws {
        let temporary = try TemporaryFolder()
        let store = try Self.makeStore(temporary.file("store"))
        var options = Self.options(steps: 200)
        options.resampleEvery = 0
        let run = try TrainingRun(
            folder: temporary.file("run"), hookpoint: "unet.mid", configuration: Self.configuration(), options: options,
            source: StoreSource(store, keepsSamples: false, seed: 5), interval: 100, engine: Engine())
        var fvu: [Double] = []
        try run.advance(progress: { fvu.append($0.report.fvu) })
        #expect(fvu[199] < 0.8 * fvu[0])
    }

    @Test func divergenceIsReported() throws {
        let configuration = Self.configuration()
        let engine = try Engine()
        let x = Tensor([64, 12], (0..<768).map { $0 == 5 ? .nan : Float($0 % 7) })
        let trainer = SAETrainer(randomAutoencoder(configuration), options: Self.options(), engine: engine)
        #expect(throws: SimpleFailure.self) { try trainer.train(x, positions: 8) }
        #expect(trainer.step == 0)
    }
}
