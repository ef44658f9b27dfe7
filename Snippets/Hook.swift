// What a layer holds while a picture is drawn.
import LVO

let engine = try Engine()
let folder = try ModelFolder(EmbeddedModel.model())
let generator = try Generator(folder, engine: engine)
let hook = try folder.unetConfig.hookPoint(EmbeddedModel.layer)

var parameters = GenerationParameters()
parameters.prompt = "a large red circle on a blue background"
parameters.steps = 10

let recorder = ActivationRecorder(at: hook, form: .means)
_ = try generator.latent(parameters, hooks: [recorder.hook])

// The channel that is most active on the average of the positions, at every time step.
for timestep in recorder.timesteps {
    guard let means = recorder.activations[timestep]?.array, let largest = means.max() else { continue }
    print("t = \(Int(timestep)): channel \(means.firstIndex(of: largest) ?? 0), \(largest)")
}
