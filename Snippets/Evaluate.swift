// How well an autoencoder reconstructs activations of pictures that it was not trained on.
import LVO

let session = try ModelSession(
    ModelReference(EmbeddedModel.name, autoencoders: EmbeddedModel.name), engine: Engine())
let (autoencoder, engine) = (try session.autoencoder(EmbeddedModel.layer), session.engine)
let prompts = try Array(Prompt.read(EmbeddedModel.prompts()).suffix(4))

var request = CaptureRequest(layers: [EmbeddedModel.layer], prompts: prompts)
request.parameters.steps = 10
request.seed = 2
let pictures = try GeneratedActivations(session, request)
let drawn = try prompts.indices.compactMap { index in
    try pictures.picture(index).map { zip($0[0], pictures.timesteps) }
}.flatMap(Array.init)

// Two passes: what the layer is on average, then how far the autoencoder is from each activation.
var means = ActivationMeans(width: autoencoder.configuration.inputWidth)
for (map, timestep) in drawn { means.add(map, timestep: timestep, engine: engine) }
var evaluation = SAEEvaluation(autoencoder, means: means, engine: engine)
for (map, timestep) in drawn { evaluation.add(map, timestep: timestep) }
print("explained \(evaluation.whole.explainedVariance), L0 \(evaluation.whole.l0), dead latents \(evaluation.dead)")
