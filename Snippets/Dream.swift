// The latent that excites a feature of a sparse autoencoder most.
import LVO

let engine = try Engine()
let folder = try ModelFolder(EmbeddedModel.model())
let hook = try folder.unetConfig.hookPoint(EmbeddedModel.layer)
let unet = try folder.loadUNet(upTo: hook, engine: engine)
let text = try unet.prepare(context: PromptEncoder(folder, engine: engine).encode([""]).context)
let autoencoder = try SparseAutoencoder(folder: EmbeddedModel.autoencoders() + "/unet.\(hook.name)")

var settings = DreamSettings(.tuned)
settings.steps = 20
let size = try folder.latentSize(pixelWidth: nil, pixelHeight: nil)
let dreamer = try Dreamer(unet: unet, hook: hook, text: text, schedule: folder.scheduler().schedule)
var run = try dreamer.run(
    start: Dreamer.noise(seed: 1024, height: size.height, width: size.width),
    objectives: [.feature(570, of: autoencoder)], timestep: 301, seeds: [1024], settings: settings)
while let step = run.next() { print("step \(step.index): \(step.activations[0])") }

let picture = Bitmap.pictures(try folder.loadVAEDecoder(engine: engine).decode(run.latent))[0]
print("\(picture.width)×\(picture.height) pixels")
