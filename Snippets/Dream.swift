// The latent that excites a feature of a sparse autoencoder most.
import LVO

let session = try ModelSession(
    ModelReference(EmbeddedModel.name, autoencoders: EmbeddedModel.name), engine: Engine())
let autoencoder = try session.autoencoder(EmbeddedModel.layer)

var settings = DreamSettings(.tuned)
settings.steps = 20
let request = DreamRequest(
    layer: EmbeddedModel.layer, objectives: [.feature(570, of: autoencoder)], timesteps: [301], seeds: [1024],
    settings: settings)
let experiment = try DreamExperiment(request, session: session)
for batch in experiment.batches {
    let outcome = try experiment.run(batch) { print("step \($0.step.index): \($0.step.activations[0])") }
    for (picture, record) in zip(try experiment.pictures(outcome.latents), outcome.records) {
        print("activation \(record.finalActivation), \(picture.width)×\(picture.height) pixels")
    }
}
