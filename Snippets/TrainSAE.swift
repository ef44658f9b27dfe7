// A sparse autoencoder of a layer, trained on pictures while they are drawn.
import Foundation
import LVO

let session = try ModelSession(ModelReference(EmbeddedModel.name), engine: Engine())
var request = try CaptureRequest(layers: [EmbeddedModel.layer], prompts: Prompt.read(EmbeddedModel.prompts()))
request.parameters.steps = 10
let pictures = try GeneratedActivations(session, request)

var settings = AutoencoderSettings()
(settings.expansion, settings.k) = (8, 8)
(settings.training.steps, settings.training.batchTokens) = (20, 1024)
let folder = NSTemporaryDirectory() + "trained-\(ProcessInfo.processInfo.processIdentifier)"
let training = AutoencoderTraining(settings, folder: folder, engine: session.engine, report: { event in
    if case .step(_, let metrics) = event { print("step \(metrics.step): FVU \(metrics.report.fvu)") }
    if case .finished(let result) = event { print("autoencoder in \(result)") }
})
try training.run(pictures, buffer: 4096)
try FileManager.default.removeItem(atPath: folder)
