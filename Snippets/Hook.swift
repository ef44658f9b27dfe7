// What a layer holds while a picture is drawn.
import LVO

let session = try ModelSession(ModelReference(EmbeddedModel.name), engine: Engine())
let recorder = ActivationRecorder(at: try session.hook(EmbeddedModel.layer), form: .means)

var parameters = GenerationParameters()
parameters.prompt = "a large red circle on a blue background"
parameters.steps = 10
_ = try session.generator().latent(parameters, hooks: [recorder.hook])

// The channel that is most active on the average of the positions, at every time step.
for timestep in recorder.timesteps {
    guard let means = recorder.activations[timestep]?.array, let largest = means.max() else { continue }
    print("t = \(Int(timestep)): channel \(means.firstIndex(of: largest) ?? 0), \(largest)")
}
