import Experiments
import Files
import Foundation
import Ops
import StableDiffusion
import Studies
import Tensors
import TestSupport
import Testing
import Visualization
import WorkUnits

/// A study's dream is the dream of the library and of `lvo dream`.
@Suite struct DreamRecordTests {
    @Test(arguments: [Where.mean, .peak(sharpness: 4), .position(x: 2, y: 6)])
    func theSameRequestGivesTheSameRecordAndNumbers(place: Where) throws {
        let folder = try TemporaryFolder()
        let study = try StudyFolder.open(
            try StudyFolder.begin(
                folder.path,
                overrides: [
                    "dream.preset=paper", "prior.enabled=false", "dream.seeds=[7, 8]", "dream.snapshot_every=2",
                    "dream_features.steps=4",
                    "dream_features.start=noise", "dream_features.where='\(place.text)'",
                ], overwrite: false), engine: Engine(threads: 1))
        let model = try #require(study.model as? NetworkModel)
        let site = Site(layer: EmbeddedModel.layer, space: .features)
        let settings = study.settings.dream(.features)
        let course = try model.dream(
            Subject(site: site, index: 718), timestep: 301, settings: settings, seeds: [7, 8], start: .noise,
            size: study.settings.capture, state: nil) { _ in }

        let session = try ModelSession(
            ModelReference("embedded", autoencoders: "embedded"), engine: Engine(threads: 2))
        var parameters = DreamSettings.paper(for: .features)
        (parameters.steps, parameters.where) = (4, place)
        let experiment = try DreamExperiment(
            DreamRequest(
                layer: EmbeddedModel.layer, objectives: [.feature(718, of: session.autoencoder(EmbeddedModel.layer))],
                timesteps: [301], seeds: [7, 8], settings: parameters), session: session)
        let outcome = try experiment.run(experiment.batches[0], snapshotEvery: 2)

        #expect(course.records.map { $0.json(timed: false) } == outcome.records.map { $0.json(timed: false) })
        #expect(course.latents.array == outcome.latents.array)
        #expect(course.snapshots.last == (try experiment.pictures(outcome.latents)))
        let measured = try model.activations(
            of: course.latents, at: [site], places: [.features: place], timestep: 301, draws: 8)
        for (record, values) in zip(outcome.records, try #require(measured[site])) {
            #expect(abs(record.finalActivation - Double(values[718])) <= 1e-5 * max(1, abs(record.finalActivation)))
        }
    }

    /// What a picture's capture says of a feature is what an objective says of the maps that were seen meanwhile.
    @Test(arguments: [Where.peak(sharpness: 4), .position(x: 2, y: 6)]) func examplesAreRankedByTheSameRule(
        place: Where
    ) throws {
        let session = try ModelSession(ModelReference("embedded", autoencoders: "embedded"), engine: Engine(threads: 1))
        let model = NetworkModel(session)
        let site = Site(layer: EmbeddedModel.layer, space: .features)
        let settings = StudySettings(
            try SettingsFile.parse("capture: {steps: 2, guidance_scale: 4}", name: "study.yaml")
        ).capture
        func capture(_ places: [Space: Where]) throws -> CapturedPicture {
            try model.capture(
                prompt: "a red star", seed: 3, settings: settings, sites: [site], places: places,
                halves: "conditional") {}
        }
        let (captured, mean) = (try capture([.features: place]), try capture([.channels: place]))
        #expect(captured.picture == mean.picture)
        let recorder = try Recording(layer: site.layer, space: .features, form: .maps).recorder(session)
        var parameters = GenerationParameters()
        (parameters.prompt, parameters.seed, parameters.steps, parameters.guidanceScale) = ("a red star", 3, 2, 4)
        _ = try session.generator().latent(parameters, hooks: [recorder.hook]) { _, _ in }
        let autoencoder = try session.autoencoder(site.layer)
        for (step, timestep) in recorder.timesteps.sorted().enumerated() {
            let map = try #require(recorder.activations[timestep])
            let weights: Pooling = switch place {
            case .peak(let sharpness): .peak(sharpness: sharpness)
            default: .weights((0..<64).map { $0 == 6 * 8 + 2 ? 1 : 0 })
            }
            // The recorded maps are of features already.
            let values = (0..<autoencoder.numLatents).map { feature in
                Objective([.init(.channel(feature))], pooling: weights).value(map, rectifier: .relu, engine: session.engine)
            }
            let recorded = try #require(captured.activations[site])[0]
            #expect(Array(recorded[step * values.count..<(step + 1) * values.count]) == values.map { Float($0) })
        }
    }

    /// Another model in the same place, or the same one in another precision, makes everything that was computed with the
    /// first one outdated.
    @Test func changingASingleFileModelOrThePrecisionOutdatesEveryUnit() throws {
        let folder = try TemporaryFolder()
        let weights = folder.file("model.safetensors")
        func fingerprints(_ stage: some WorkStage) throws -> [String] { try stage.units().map(\.fingerprint) }
        func states(precision: String = "f32") throws -> [String] {
            let study = try StudyFolder.open(
                folder.path,
                overrides: ["model=model.safetensors", "sae=", "prompt_limit=2", "capture.steps=1", "precision=\(precision)"],
                engine: Engine(instructionSet: "baseline", threads: 1))
            return try fingerprints(study.stages[0])
        }
        _ = try StudyFolder.begin(folder.path, overrides: [], overwrite: false)
        try SingleFileModel.write(weights)
        let before = try states()
        #expect(try states() == before)
        #expect(Set(try states(precision: "bf16")).isDisjoint(with: before))
        try FileManager.default.removeItem(atPath: weights)
        try SingleFileModel.write(weights, factor: 0.5)
        #expect(Set(try states()).isDisjoint(with: before))
    }
}
