// How a change of the latent changes a channel of a layer.
import LVO

let engine = try Engine()
let folder = try ModelFolder(EmbeddedModel.model())
let hook = try folder.unetConfig.hookPoint(EmbeddedModel.layer)
let unet = try folder.loadUNet(upTo: hook, engine: engine)
let text = try unet.prepare(context: PromptEncoder(folder, engine: engine).encode(["a red circle"]).context)
let size = try folder.latentSize(pixelWidth: nil, pixelHeight: nil)

// Forward to the layer: activations [1, positions, channels].
let latent = Dreamer.noise(seed: 1, height: size.height, width: size.width)
let trace = unet.forward(latent, to: hook, time: unet.prepare(timestep: 301), text: text)

// The objective is channel 3's mean over positions; its gradient there, and back to the latent: [1, 4, height, width].
let map = trace.activation.reshaped(Array(trace.activation.shape.dropFirst()))
let (value, slope, _) = Objective.channel(3).evaluate(map, rectifier: .none, engine: engine)
let gradient = unet.backward(trace, gradient: slope.reshaped(trace.activation.shape))
print("value \(value), gradient \(gradient.shape), largest \(gradient.array.map(abs).max() ?? 0)")
