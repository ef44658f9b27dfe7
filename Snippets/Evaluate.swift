// How well an autoencoder reconstructs activations of pictures that it was not trained on.
import LVO

let engine = try Engine()
let generator = try Generator(ModelFolder(EmbeddedModel.model()), engine: engine)
let autoencoder = try SparseAutoencoder(folder: EmbeddedModel.autoencoders() + "/unet.\(EmbeddedModel.layer)")
let prompts = try Prompt.read(EmbeddedModel.prompts()).suffix(4)

var parameters = GenerationParameters()
parameters.steps = 10
let pictures = try GeneratedActivations(
    generator, layers: [EmbeddedModel.layer], prompts: Array(prompts), parameters: parameters, seed: 2)
let drawn = try prompts.indices.enumerated().compactMap { index, _ in
    try pictures.picture(index).map { zip($0[0], pictures.timesteps) }
}.flatMap(Array.init)

// Two passes: what the layer is on average, then how far the autoencoder is from each activation.
var means = ActivationMeans(width: autoencoder.configuration.inputWidth)
for (map, timestep) in drawn { means.add(map, timestep: timestep, engine: engine) }
var evaluation = SAEEvaluation(autoencoder, means: means, engine: engine)
for (map, timestep) in drawn { evaluation.add(map, timestep: timestep) }
print("explained \(evaluation.whole.explainedVariance), L0 \(evaluation.whole.l0), dead latents \(evaluation.dead)")
