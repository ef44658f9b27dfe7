// A sparse autoencoder of a layer, trained on pictures while they are drawn.
import Foundation
import LVO

let engine = try Engine()
let generator = try Generator(ModelFolder(EmbeddedModel.model()), engine: engine)
var parameters = GenerationParameters()
parameters.steps = 10
let pictures = try GeneratedActivations(
    generator, layers: [EmbeddedModel.layer], prompts: Prompt.read(EmbeddedModel.prompts()), parameters: parameters,
    seed: 1)

var settings = AutoencoderSettings()
(settings.expansion, settings.k) = (8, 8)
(settings.training.steps, settings.training.batchTokens) = (20, 1024)
let folder = NSTemporaryDirectory() + "trained-\(ProcessInfo.processInfo.processIdentifier)"
let training = AutoencoderTraining(settings, folder: folder, engine: engine, report: { event in
    if case .step(_, let metrics) = event { print("step \(metrics.step): FVU \(metrics.report.fvu)") }
    if case .finished(let result) = event { print("autoencoder in \(result)") }
})
try training.run(pictures, buffer: 4096)
try FileManager.default.removeItem(atPath: folder)
