import Experiments
import Files
import Ops
import Pictures
import StableDiffusion
import TestSupport
import Testing
import Visualization

@Suite struct RetentionTests {
    /// By hand: the pictures written and encoded as files are, and measured as the results were.
    @Test func itIsWhatThePictureKeeps() throws {
        let session = try ModelSession(ModelReference(EmbeddedModel.name), engine: Engine(threads: 1))
        var settings = DreamSettings(.raw)
        (settings.steps, settings.coupling) = (12, .independent)
        let request = DreamRequest(
            layer: EmbeddedModel.layer, objectives: [.channel(3)], timesteps: [301], seeds: [7, 8], settings: settings)
        let experiment = try DreamExperiment(request, session: session)
        let items = experiment.batches[0]
        let outcome = try experiment.run(items)
        let retention = try experiment.retention(outcome, items)
        // The part up to the layer, loaded again, says the same as the whole.
        experiment.session.releaseUNet()
        #expect(try experiment.retention(outcome, items) == retention)
        let folder = try TemporaryFolder()
        let dreamer = try session.dreamer(
            session.hook(EmbeddedModel.layer), size: LatentSize(batch: 1, height: 16, width: 16))
        for (index, picture) in try experiment.pictures(outcome.latents).enumerated() {
            let path = folder.file("\(index).png")
            try PNG.write(picture, to: path)
            let latent = try PictureLatents.encode([path], session)
            let left = try dreamer.measure(latent, objectives: [.channel(3)], timestep: 301)[0]
            let expected = left / outcome.records[index].finalActivation
            #expect(abs(try #require(retention[index]) - expected) < 1e-5)
            #expect(expected != 1)
        }
    }
}
