import Checkpoints
import Experiments
import Files
import Foundation
import Ops
import SparseAutoencoders
import Tensors
import TestSupport
import Testing

/// Training on stores that are still being filled.
@Suite struct FollowTests {
    private static func settings(steps: Int = 12) -> AutoencoderSettings {
        var settings = AutoencoderSettings()
        (settings.latents, settings.k) = (24, 4)
        (settings.training.batchTokens, settings.training.steps) = (32, steps)
        return settings
    }

    private static func weights(_ folder: String, _ layer: String = "mid") throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(layer)/unet.\(layer)/sae.safetensors"))
    }

    /// What has yet to come into a folder: a store's description, then its files.
    private final class Arrivals {
        private var steps: [() throws -> Void] = []
        private(set) var waits: [String] = []

        /// - Parameter files: in the order in which they come.
        func add(_ folder: String, _ files: [Int], layer: String = "mid", from finished: String) {
            for name in ["store.json"] + files.map({ "shard-0000\($0).safetensors" }) {
                steps.append {
                    try OutputFile.makeFolder(folder)
                    try FileManager.default.copyItem(atPath: "\(finished)/\(name)", toPath: "\(folder)/\(name)")
                }
            }
        }

        func next(_ missing: String) {
            waits.append(missing)
            if !steps.isEmpty { try? steps.removeFirst()() }
        }
    }

    private static func training(
        _ folder: String, _ arrivals: Arrivals, steps: Int = 12, check: @escaping () throws -> Void = {}
    ) throws -> AutoencoderTraining {
        try AutoencoderTraining(settings(steps: steps), folder: folder, engine: Engine(threads: 1), check: check) {
            if case .waiting(let missing) = $0 { arrivals.next(missing) }
        }
    }

    /// Begun before there is a store. 12 steps are two epochs; two steps are done before the last file is there.
    @Test func followingEndsAsTrainingOnTheFinishedStore() throws {
        let (folder, arrivals) = (try TemporaryFolder(), Arrivals())
        let store = try SomePictures.store(folder.file("finished"))
        try Self.training(folder.file("whole"), Arrivals()).run([store], window: 2)
        arrivals.add(folder.file("growing/mid"), [2, 1, 0], from: folder.file("finished"))
        try Self.training(folder.file("runs"), arrivals).follow(ActivationFolders([folder.file("growing")]), window: 2)
        #expect(try Self.weights(folder.file("runs")) == Self.weights(folder.file("whole")))
        #expect(arrivals.waits.first?.contains("no activations there") == true)
        #expect(arrivals.waits.last?.contains("shard-00000") == true && arrivals.waits.count == 4)
    }

    /// Steps that need less than everything are done without the rest.
    @Test func theLastStepIsTheEnd() throws {
        let (folder, arrivals) = (try TemporaryFolder(), Arrivals())
        _ = try SomePictures.store(folder.file("finished"))
        arrivals.add(folder.file("growing"), [0], from: folder.file("finished"))
        try Self.training(folder.file("runs"), arrivals, steps: 2)
            .follow(ActivationFolders([folder.file("growing")]), window: 1)
        #expect(try !Self.weights(folder.file("runs")).isEmpty)
        #expect(arrivals.waits.count == 2)
    }

    /// Parts of one store on several machines, and a layer that is begun after the first was trained.
    @Test func partsAndLayersAreFollowed() throws {
        let (folder, arrivals) = (try TemporaryFolder(), Arrivals())
        var finished: [ActivationStore] = []
        for layer in ["a", "b"] { finished.append(try SomePictures.store(folder.file("finished/\(layer)"), layer: layer)) }
        try Self.training(folder.file("whole"), Arrivals()).run(finished, window: 2)
        for layer in ["a", "b"] {
            for (part, files) in [(0, [0, 2]), (1, [1])] {
                arrivals.add(folder.file("part\(part)/\(layer)"), files, from: folder.file("finished/\(layer)"))
            }
        }
        let parts = ActivationFolders([folder.file("part0"), folder.file("part1")])
        try Self.training(folder.file("runs"), arrivals).follow(parts, window: 2)
        while arrivals.waits.count < 10, try parts.layers().count < 2 { arrivals.next("") }
        try Self.training(folder.file("runs"), arrivals).follow(parts, window: 2)
        for layer in ["a", "b"] {
            #expect(try Self.weights(folder.file("runs"), layer) == Self.weights(folder.file("whole"), layer))
        }
    }

    /// Stopped while it waits it keeps what it has, and goes on from there to the same end.
    @Test func stoppedWhileItWaitsItGoesOn() throws {
        let (folder, arrivals) = (try TemporaryFolder(), Arrivals())
        let store = try SomePictures.store(folder.file("finished"))
        try Self.training(folder.file("whole"), Arrivals()).run([store], window: 1)
        let growing = ActivationFolders([folder.file("growing")])
        for files in [[0], [1]] {
            let some = Arrivals()
            some.add(folder.file("growing"), files, from: folder.file("finished"))
            try? FileManager.default.removeItem(atPath: folder.file("growing/store.json"))
            let training = try Self.training(folder.file("runs"), some) { if some.waits.count > 2 { throw Enough() } }
            #expect(throws: Enough.self) { try training.follow(growing, window: 1) }
        }
        let state = try #require(try SafetensorsFile(path: folder.file("runs/mid/checkpoint.safetensors")).metadata["state"])
        #expect(try JSON.parse(state)["step"] == 4)
        try? FileManager.default.removeItem(atPath: folder.file("growing/store.json"))
        arrivals.add(folder.file("growing"), [2], from: folder.file("finished"))
        try Self.training(folder.file("runs"), arrivals).follow(growing, window: 1)
        #expect(try Self.weights(folder.file("runs")) == Self.weights(folder.file("whole")))
    }

    /// A run is not continued in another order.
    @Test func anotherWindowIsRefused() throws {
        let folder = try TemporaryFolder()
        let store = try SomePictures.store(folder.file("store"))
        try Self.training(folder.file("runs"), Arrivals()).run([store], window: 1)
        let failure = #expect(throws: SimpleFailure.self) {
            try Self.training(folder.file("runs"), Arrivals()).run([store], window: 2)
        }
        #expect(failure?.kind == .usage && "\(failure!)".contains("window_files 1, not 2"), "\(failure!)")
    }

    @Test func whatCannotBeReadTogetherIsRefused() throws {
        let folder = try TemporaryFolder()
        _ = try SomePictures.store(folder.file("a/mid"))
        _ = try SomePictures.store(folder.file("b/up"), layer: "up")
        func failure(_ names: String...) -> SimpleFailure? {
            #expect(throws: SimpleFailure.self) { try ActivationFolders(names.map(folder.file)).complete() }
        }
        #expect(failure("a", "b")?.description.contains("b: no activations of mid there") == true)
        #expect(failure("none")?.kind == .missingInput)
        let model: (String) -> JSON = { ["model": ["unet": .string($0)]] }
        for (name, sum) in [("c", "1"), ("d", "2")] {
            _ = try ActivationStore(
                folder: folder.file(name), layer: "mid", width: 12, positions: 8, pictures: 6, picturesPerFile: 2,
                origin: model(sum))
        }
        let other = failure("c", "d")
        #expect(other?.kind == .usage && other?.description.contains("another model") == true, "\(other!)")
    }
}
