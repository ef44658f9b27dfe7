import Experiments
import Files
import Ops
import Pictures
import StableDiffusion
import Tensors
import TestSupport
import Testing
import Visualization

@Suite struct DreamExperimentTests {
    private let session: ModelSession

    init() throws {
        session = try ModelSession(
            ModelReference("embedded", autoencoders: "embedded"), engine: Engine(threads: 1))
    }

    private func request(
        _ objectives: [Objective] = [.channel(3)], seeds: [UInt64] = [7, 8], coupling: Coupling = .coupled
    ) -> DreamRequest {
        var settings = DreamSettings(.raw)
        (settings.steps, settings.coupling) = (4, coupling)
        return DreamRequest(
            layer: EmbeddedModel.layer, objectives: objectives, timesteps: [301], seeds: seeds, settings: settings)
    }

    private func run(_ request: DreamRequest) throws -> DreamOutcome {
        let experiment = try DreamExperiment(request, session: session)
        return try experiment.run(experiment.batches[0], snapshotEvery: 2)
    }

    @Test func recordsHoldWhatHappened() throws {
        let feature = Objective.feature(718, of: try session.autoencoder(EmbeddedModel.layer))
        let outcome = try run(request([feature]))
        #expect(outcome.latents.shape == [2, 4, 16, 16])
        #expect(outcome.snapshots.map(\.step) == [0, 2, 4])
        let record = outcome.records[1].json(timed: true)
        #expect(record["objective"] == "feature 718" && record["seed"] == 8 && record["init"] == "noise")
        #expect(record["history"]?["activation"]?.array?.count == 4)
        #expect(record["history"]?["seconds"]?.array?.count == 4 && record["runtime"]?["threads"] == 1)
        #expect(record["command"]?.string?.contains("--feature 718 --sae embedded --timestep 301 --seed 7 8") == true)
        let untimed = outcome.records[1].json(timed: false)
        #expect(untimed["runtime"] == nil && untimed["history"]?["seconds"] == nil)
    }

    /// Interrupted after any step, the same bytes: latents, history, snapshots.
    @Test(arguments: [1, 2, 3]) func anInterruptedBatchGoesOnToTheSame(step: Int) throws {
        struct Stop: Error {}
        let experiment = try DreamExperiment(request(), session: session)
        let items = experiment.batches[0]
        let whole = try experiment.run(items, snapshotEvery: 2)
        var kept: DreamState = []
        #expect(throws: Stop.self) {
            _ = try experiment.run(items, snapshotEvery: 2) { moment in
                guard moment.step.index == step - 1 else { return }
                kept = moment.state()
                throw Stop()
            }
        }
        let state = Dictionary(uniqueKeysWithValues: kept.map { ($0.name, $0.tensor) })
        var steps = 0
        let resumed = try experiment.run(items, snapshotEvery: 2, state: state) { _ in steps += 1 }
        #expect(steps == 4 - step)
        #expect(resumed.latents.array == whole.latents.array)
        #expect(resumed.snapshots.map(\.latents.array) == whole.snapshots.map(\.latents.array))
        #expect(resumed.records.map { $0.json(timed: false) } == whole.records.map { $0.json(timed: false) })
        // What is no state is no state.
        #expect(try experiment.run(items, state: ["latent": whole.latents]).latents.array == whole.latents.array)
    }

    /// One rule for every measure: the noise of the time step, whatever the seed and the objective.
    @Test func aMeasureDependsOnTheLatentAlone() throws {
        let latent = Dreamer.noise(seed: 5, height: 16, width: 16)
        let dreamer = try session.dreamer(
            session.hook(EmbeddedModel.layer), size: LatentSize(batch: 2, height: 16, width: 16))
        let pair = Tensor([2, 4, 16, 16], latent.array + latent.array)
        let two = try dreamer.measure(pair, objectives: [.channel(3)], timestep: 301)
        #expect(two[0] == two[1])
        #expect(try dreamer.measure(latent, objectives: [.channel(3)], timestep: 301)[0] == two[0])
        var sum = 0.0
        try dreamer.observe(latent, timestep: 301) { activation in
            for row in 0..<activation.rows { sum += Double(activation.pointer[row * activation.channels + 3]) }
        }
        #expect(abs(sum / 8 / Double(64) - two[0]) < 1e-6 || abs(sum / 8 / Double(256) - two[0]) < 1e-6)
    }

    /// A mask that selects one position is that position; a white one is the mean.
    @Test func masksPositionsAndMeansAgree() throws {
        let folder = try TemporaryFolder()
        func mask(_ name: String, _ change: (inout Bitmap) -> Void) throws -> Where {
            var picture = Bitmap(width: 16, height: 16, red: 0, green: 0, blue: 0)
            change(&picture)
            try PNG.write(picture, to: folder.file(name))
            return .mask(file: name)
        }
        let spot = try mask("spot.png") { $0.draw(Bitmap(width: 2, height: 2, red: 9, green: 9, blue: 9), x: 4, y: 10) }
        let white = try mask("white.png") { $0 = Bitmap(width: 3, height: 5, red: 255, green: 255, blue: 255) }
        let black = try mask("black.png") { _ in }
        let session = try ModelSession(
            ModelReference("embedded", autoencoders: "embedded", base: folder.path), engine: session.engine)
        let feature = Objective.feature(718, of: try session.autoencoder(EmbeddedModel.layer))
        func dream(_ place: Where) throws -> (latents: [Float], record: JSON) {
            var request = request([feature, .channel(3)], coupling: .independent)
            (request.settings.where, request.batch) = (place, 4)
            let experiment = try DreamExperiment(request, session: session)
            let outcome = try experiment.run(experiment.batches[0])
            return (outcome.latents.array, outcome.records[0].json(timed: false))
        }
        let (mean, position, peak) = (try dream(.mean), try dream(.position(x: 2, y: 5)), try dream(.peak(sharpness: 4)))
        #expect(try dream(spot).latents == position.latents)
        #expect(zip(try dream(white).latents, mean.latents).allSatisfy { abs($0 - $1) < 1e-4 })
        #expect(peak.latents != mean.latents && position.latents != mean.latents)
        #expect(peak.record["settings"]?["where"] == "peak:4.0")
        #expect(try dream(spot).record["command"]?.string?.contains("--where mask:spot.png ") == true)
        #expect(peak.record["final_activation"]?.double ?? 0 > mean.record["final_activation"]?.double ?? .infinity)
        for place in [.position(x: 8, y: 0), Where.position(x: 0, y: 8), black] {
            #expect(throws: SimpleFailure.self) { try dream(place) }
        }
        #expect(throws: FileFailure.self) { try dream(.mask(file: "none.png")) }
    }

    @Test func priorsAreTakenInTurn() throws {
        var request = request(seeds: [1, 2, 3])
        let latents = CounterRandom(seed: 1, purpose: .start).normals([2, 4, 16, 16])
        request.start = .latents(latents, file: "prior.safetensors")
        let snapshots = try run(request).snapshots
        #expect(snapshots[0].latents.array == latents.array + latents.slice(0..<1).array)
    }

    @Test func impossibleRequestsAreRefused() throws {
        func refused(_ change: (inout DreamRequest) throws -> Void) throws {
            var changed = request()
            try change(&changed)
            let failure = #expect(throws: SimpleFailure.self) { try DreamExperiment(changed, session: session) }
            #expect(failure?.description.contains("--") == false && failure?.description.contains("\n") == false)
        }
        try refused { $0.objectives = [.channel(64)] }
        try refused { $0.objectives = [.channel(-1)] }
        try refused { $0.objectives = [.feature(768, of: try session.autoencoder(EmbeddedModel.layer))] }
        try refused { $0.objectives = [] }
        try refused { $0.seeds = [] }
        try refused { $0.timesteps = [] }
        try refused { $0.timesteps = [1000] }
        try refused { $0.batch = 2 }
        try refused { $0.layer = "up_blocks.9" }
        try refused { $0.width = 65 }
        try refused { $0.settings.steps = 0 }
        try refused { $0.start = .latents(Tensor.zeros([1, 3, 4, 4]), file: "z") }
    }

    /// A schedule of 500 steps has no step 700.
    @Test func ashorterScheduleRefusesLaterTimeSteps() throws {
        let schedule = NoiseSchedule.linear(0.001, 0.01, count: 500)
        let layer = try session.dreamer(
            session.hook(EmbeddedModel.layer), size: LatentSize(batch: 1, height: 16, width: 16))
        let dreamer = Dreamer(unet: layer.unet, hook: layer.hook, text: layer.text, schedule: schedule)
        let latent = Dreamer.noise(seed: 5, height: 16, width: 16)
        for (timestep, objective) in [(700, Objective.channel(3)), (-1, .channel(3)), (499, .channel(64))] {
            #expect(throws: SimpleFailure.self) {
                try dreamer.run(
                    start: latent, objectives: [objective], timestep: timestep, seeds: [5], settings: DreamSettings())
            }
            #expect(throws: SimpleFailure.self) {
                try dreamer.measure(latent, objectives: [objective], timestep: timestep)
            }
        }
        _ = try dreamer.measure(latent, objectives: [.channel(3)], timestep: 499)
    }

    @Test func theCommandNamesEverythingThatWasGiven() throws {
        let model = try EmbeddedModel.model()
        let given = try ModelSession(
            ModelReference(model, vae: model + "/vae", autoencoders: "embedded"), engine: session.engine)
        let sae = try given.autoencoder(EmbeddedModel.layer)
        var request = request([Objective([.init(.channel(2)), .init(.feature(718, sae), weight: -0.5)])])
        request.text = TextSource(prompt: "it's red", clipSkip: 1)
        let command = try DreamExperiment(request, session: given).command(
            DreamExperiment(request, session: given).batches[0])
        for part in [
            "--model \(model) --vae \(model)/vae --layer ", "--channel 2 --feature 718 --sae embedded --weights=1.0,-0.5",
            "--prompt 'it'\\''s red' --clip-skip 1 -W 64 -H 64 --steps 4",
        ] { #expect(command.contains(part), "\(command)") }
    }
}
