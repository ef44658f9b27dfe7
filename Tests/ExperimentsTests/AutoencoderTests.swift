import Experiments
import Files
import Foundation
import Ops
import SparseAutoencoders
import Tensors
import TestSupport
import Testing

/// Pictures of four maps of 8 tokens in 12 channels for each layer.
final class SomePictures: PictureActivations {
    let origin: JSON = "test"
    let layers: [(name: String, width: Int, positions: Int)]
    private let check: () throws -> Void

    init(_ names: [String] = ["mid"], check: @escaping () throws -> Void = {}) {
        layers = names.map { ($0, 12, 8) }
        self.check = check
    }

    func picture(_ index: Int) throws -> [[Tensor]]? {
        try check()
        return layers.indices.map { layer in
            (0..<4).map { map in
                CounterRandom(seed: 1, purpose: .noise, unit: UInt64(layer), step: UInt64(4 * index + map)).normals([8, 12])
            }
        }
    }

    static func store(_ folder: String, layer: String = "mid") throws -> ActivationStore {
        let store = try ActivationStore(
            folder: folder, layer: layer, width: 12, positions: 8, pictures: 6, picturesPerFile: 2)
        let pictures = SomePictures([layer])
        for shard in 0..<3 {
            let maps = try (0..<2).flatMap { try pictures.picture(shard * 2 + $0)?[0] ?? [] }
            try store.write(file: shard, maps: maps, timesteps: maps.indices.map { $0 % 4 * 100 })
        }
        return store
    }
}

/// What a check throws in these tests.
struct Enough: Failure {
    let kind = FailureKind.stoppedEarly
    let description = "enough"
}

@Suite struct AutoencoderTrainingTests {
    private static func settings(_ rule: SelectionRule = .batchTopK) -> AutoencoderSettings {
        var settings = AutoencoderSettings()
        (settings.rule, settings.latents, settings.k) = (rule, 24, rule == .sampleTopK ? 24 : 4)
        (settings.training.batchTokens, settings.training.steps) = (32, 12)
        return settings
    }

    private static func weights(_ folder: String, _ layer: String = "mid") throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(layer)/unet.\(layer)/sae.safetensors"))
    }

    private static func failure(_ body: () throws -> Void) -> (kind: FailureKind?, text: String) {
        do {
            try body()
            return (nil, "")
        } catch { return ((error as? any Failure)?.kind, "\(error)") }
    }

    @Test func storesOfAFolderAreTrainedOneAfterTheOther() throws {
        let (folder, engine) = (try TemporaryFolder(), try Engine(threads: 1))
        for layer in ["a", "b"] { _ = try SomePictures.store(folder.file("store/\(layer)"), layer: layer) }
        var (steps, finished): ([String], [String]) = ([], [])
        func report(_ event: AutoencoderTraining.Event) {
            switch event {
            case .began, .waiting: break
            case .step(let run, _): steps.append(run.hookpoint)
            case .finished(let folder): finished.append(folder)
            }
        }
        let training = AutoencoderTraining(
            Self.settings(), folder: folder.file("runs"), engine: engine, report: report)
        try training.run(Array(ActivationFolders([folder.file("store")]).complete().joined()))
        #expect(steps == Array(repeating: "unet.a", count: 12) + Array(repeating: "unet.b", count: 12))
        #expect(finished == ["a", "b"].map { folder.file("runs/\($0)/unet.\($0)") })
        #expect(try SparseAutoencoder(folder: finished[1]).numLatents == 24)
        #expect(FileSystem.isFile(folder.file("runs/b/curves.svg")))
    }

    @Test(arguments: [false, true]) func aCheckThatThrowsStopsItAndItGoesOnToTheSameEnd(drawing: Bool) throws {
        let (folder, engine) = (try TemporaryFolder(), try Engine(threads: 1))
        let store = try SomePictures.store(folder.file("store"))
        func train(_ name: String, check: @escaping () throws -> Void) throws {
            let training = AutoencoderTraining(Self.settings(), folder: folder.file(name), engine: engine, check: check)
            drawing ? try training.run(SomePictures(), buffer: 64) : try training.run([store])
        }
        try train("whole") {}
        for end in [3, 4, 100] {
            var asked = 0
            func check() throws {
                asked += 1
                if asked > end { throw Enough() }
            }
            let failure = Self.failure { try train("parts", check: check) }
            #expect(failure.kind == (end == 100 ? nil : .stoppedEarly))
        }
        #expect(try Self.weights(folder.file("whole")) == Self.weights(folder.file("parts")))
    }

    @Test func aStopWhileAPictureIsDrawnIsToldToo() throws {
        let (folder, engine) = (try TemporaryFolder(), try Engine(threads: 1))
        var asked = 0
        func check() throws {
            asked += 1
            if asked > 12 { throw Enough() }
        }
        let training = AutoencoderTraining(Self.settings(), folder: folder.path, engine: engine, check: check)
        #expect(throws: Enough.self) { try training.run(SomePictures(check: check), buffer: 64) }
        #expect(FileSystem.isFile(folder.file("mid/checkpoint.safetensors")))
    }

    @Test func storesNeedNoBuffer() throws {
        let (folder, engine) = (try TemporaryFolder(), try Engine(threads: 1))
        var settings = Self.settings()
        settings.training.batchTokens = 100_000
        settings.training.steps = 1
        let store = try SomePictures.store(folder.file("store"))
        try AutoencoderTraining(settings, folder: folder.file("runs"), engine: engine).run([store])
        #expect(try !Self.weights(folder.file("runs")).isEmpty)
    }

    @Test(arguments: [
        (SelectionRule.batchTopK, 32, 63, "two batches, 64"), (.sampleTopK, 8, 15, "two batches, 16"),
        (.sampleTopK, 4, 64, "whole samples"), (.sampleTopK, 12, 64, "whole samples"), (.sampleTopK, 2, 4, "whole samples"),
    ]) func aBufferThatCannotServeIsUsage(rule: SelectionRule, batch: Int, buffer: Int, words: String) throws {
        let (folder, engine) = (try TemporaryFolder(), try Engine(threads: 1))
        var settings = Self.settings(rule)
        settings.training.batchTokens = batch
        let training = AutoencoderTraining(settings, folder: folder.file("runs"), engine: engine)
        let failure = Self.failure { try training.run(SomePictures(), buffer: buffer) }
        #expect(failure.kind == .usage && failure.text.contains(words), "\(failure)")
        #expect(!FileSystem.isFolder(folder.file("runs")))
    }

    @Test func theSmallestBufferOfWholeSamplesServes() throws {
        let (folder, engine) = (try TemporaryFolder(), try Engine(threads: 1))
        var settings = Self.settings(.sampleTopK)
        settings.training.batchTokens = 8
        try AutoencoderTraining(settings, folder: folder.path, engine: engine).run(SomePictures(), buffer: 16)
        #expect(try !Self.weights(folder.path).isEmpty)
    }

    @Test func settingsWithoutMeaningAreUsage() {
        var settings = Self.settings()
        settings.training.batchTokens = 1 << 30
        #expect(Self.failure { _ = try settings.configuration(width: 12) }.text.contains("at most 178956970 with 24"))
        settings = Self.settings()
        settings.k = 25
        #expect(Self.failure { _ = try settings.configuration(width: 12) }.kind == .usage)
        settings = AutoencoderSettings()
        settings.expansion = .max
        #expect(Self.failure { _ = try settings.configuration(width: 12) }.text.contains("latents"))
        (settings.rule, settings.expansion, settings.k) = (.sampleTopK, 16, .max)
        #expect(Self.failure { _ = try settings.configuration(width: 12) }.text.contains("at most 4096 · latents = 786432"))
        settings = AutoencoderSettings()
        #expect((try? settings.configuration(width: 12).numLatents) == 192)
    }
}

@Suite struct AutoencoderEvaluationTests {
    @Test func reportsWhatItMeasured() throws {
        let (folder, engine) = (try TemporaryFolder(), try Engine(threads: 1))
        let store = try SomePictures.store(folder.file("store"))
        var settings = AutoencoderSettings()
        (settings.latents, settings.k) = (24, 4)
        (settings.training.batchTokens, settings.training.steps) = (32, 40)
        try AutoencoderTraining(settings, folder: folder.path, engine: engine).run([store])
        let autoencoder = try SparseAutoencoder(folder: folder.file("mid/unet.mid"))
        var evaluation = AutoencoderEvaluation(autoencoder, name: "mine")
        evaluation.other = (autoencoder, "<itself>")
        let report = try evaluation.run([store], engine: engine)
        #expect(report.json["tokens"] == 192 && report.json["layer"] == "mid")
        #expect(report.json["matched"]?["above_0.9"] == 24)
        #expect(report.json["loss_recovered"] == nil)
        #expect(report.html.contains("&lt;itself&gt;") && report.summary.contains("Mean cosine"))
        try report.write(to: folder.file("eval"), overwrite: false)
        #expect(try JSON.read(folder.file("eval/eval.json")) == report.json)
        #expect(throws: FileFailure.exists(file: folder.file("eval/eval.json"))) {
            try report.write(to: folder.file("eval"), overwrite: false)
        }
    }

    @Test func severalStoresAreReadAsOne() throws {
        let (folder, engine) = (try TemporaryFolder(), try Engine(threads: 1))
        let store = try SomePictures.store(folder.file("store"))
        let autoencoder = SparseAutoencoder(
            configuration: SAEConfiguration(inputWidth: 12, numLatents: 24, k: 2), firstBatch: Tensor.zeros([4, 12]),
            seed: 0, engine: engine)
        let evaluation = AutoencoderEvaluation(autoencoder, name: "mine")
        let once = try evaluation.run([store], engine: engine).json
        let twice = try evaluation.run([store, store], engine: engine).json
        #expect(once["tokens"] == 192 && twice["tokens"] == 384)
        let (a, b) = (try #require(once["fvu"]?.double), try #require(twice["fvu"]?.double))
        #expect(abs(a - b) < 1e-9 * a)
    }

    @Test func aStoreOfAnotherWidthIsRefused() throws {
        let (folder, engine) = (try TemporaryFolder(), try Engine(threads: 1))
        let store = try SomePictures.store(folder.file("store"))
        let narrow = SparseAutoencoder(
            configuration: SAEConfiguration(inputWidth: 6, numLatents: 12, k: 2), firstBatch: Tensor.zeros([4, 6]), seed: 0,
            engine: engine)
        #expect(throws: SimpleFailure.self) {
            _ = try AutoencoderEvaluation(narrow, name: "narrow").run([store], engine: engine)
        }
    }

    @Test func aCheckThatThrowsEndsIt() throws {
        let (folder, engine) = (try TemporaryFolder(), try Engine(threads: 1))
        let store = try SomePictures.store(folder.file("store"))
        let autoencoder = SparseAutoencoder(
            configuration: SAEConfiguration(inputWidth: 12, numLatents: 24, k: 2), firstBatch: Tensor.zeros([4, 12]),
            seed: 0, engine: engine)
        #expect(throws: Enough.self) {
            _ = try AutoencoderEvaluation(autoencoder, name: "").run([store], engine: engine) { throw Enough() }
        }
    }
}
