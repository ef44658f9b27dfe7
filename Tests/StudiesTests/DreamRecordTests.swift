import Experiments
import Files
import Foundation
import Ops
import Studies
import Tensors
import TestSupport
import Testing
import Visualization
import WorkUnits

/// A study's dream is the dream of the library and of `lvo dream`.
@Suite struct DreamRecordTests {
    @Test func theSameRequestGivesTheSameRecordAndNumbers() throws {
        let folder = try TemporaryFolder()
        let study = try StudyFolder.open(
            try StudyFolder.begin(
                folder.path,
                overrides: [
                    "prior.enabled=false", "dream.seeds=[7, 8]", "dream.snapshot_every=2", "dream_features.steps=4",
                    "dream_features.start=noise",
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
        parameters.steps = 4
        let experiment = try DreamExperiment(
            DreamRequest(
                layer: EmbeddedModel.layer, objectives: [.feature(718, of: session.autoencoder(EmbeddedModel.layer))],
                timesteps: [301], seeds: [7, 8], settings: parameters), session: session)
        let outcome = try experiment.run(experiment.batches[0], snapshotEvery: 2)

        #expect(course.records.map { $0.json(timed: false) } == outcome.records.map { $0.json(timed: false) })
        #expect(course.latents.array == outcome.latents.array)
        #expect(course.snapshots.last == (try experiment.pictures(outcome.latents)))
        let measured = try model.activations(of: course.latents, at: [site], timestep: 301, draws: 8)
        for (record, values) in zip(outcome.records, try #require(measured[site])) {
            #expect(abs(record.finalActivation - Double(values[718])) <= 1e-5 * max(1, abs(record.finalActivation)))
        }
    }

    /// Another model in the same place makes everything that was computed with the first one outdated.
    @Test func changingASingleFileModelOutdatesEveryUnit() throws {
        let folder = try TemporaryFolder()
        let weights = folder.file("model.safetensors")
        func fingerprints(_ stage: some WorkStage) throws -> [String] { try stage.units().map(\.fingerprint) }
        func states() throws -> [String] {
            let study = try StudyFolder.open(
                folder.path,
                overrides: ["model=model.safetensors", "sae=", "prompt_limit=2", "capture.steps=1"],
                engine: Engine(threads: 1))
            return try fingerprints(study.stages[0])
        }
        _ = try StudyFolder.begin(folder.path, overrides: [], overwrite: false)
        try SingleFileModel.write(weights)
        let before = try states()
        #expect(try states() == before)
        try FileManager.default.removeItem(atPath: weights)
        try SingleFileModel.write(weights, factor: 0.5)
        #expect(Set(try states()).isDisjoint(with: before))
    }
}
