// How a change of the latent changes a channel of a layer.
import LVO

let session = try ModelSession(ModelReference(EmbeddedModel.name), engine: Engine())
let hook = try session.hook(EmbeddedModel.layer)
let unet = try session.unet(upTo: hook)
let text = unet.prepare(context: try session.text(TextSource(prompt: "a red circle")).context)
let latent = try Probe.noise(seeds: [1], of: session)

// Forward to the layer: activations [1, positions, channels].
let trace = unet.forward(latent, to: hook, time: unet.prepare(timestep: 301), text: text)

// The objective is channel 3's mean over positions; its gradient there, and back to the latent: [1, 4, height, width].
let map = trace.activation.reshaped(Array(trace.activation.shape.dropFirst()))
let (value, slope, _) = Objective.channel(3).evaluate(map, rectifier: .none, engine: session.engine)
let gradient = unet.backward(trace, gradient: slope.reshaped(trace.activation.shape))
print("value \(value), gradient \(gradient.shape), largest \(gradient.array.map(abs).max() ?? 0)")
