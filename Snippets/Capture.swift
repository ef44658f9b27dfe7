// Activations of a layer while pictures are drawn, stored for training and evaluation.
import Foundation
import LVO

let session = try ModelSession(ModelReference(EmbeddedModel.name), engine: Engine())
let prompts = try Prompt.evenly(Prompt.read(EmbeddedModel.prompts()), limit: 4)
var request = CaptureRequest(layers: [EmbeddedModel.layer], prompts: prompts)
request.parameters.steps = 5
request.limit = prompts.count

let folder = NSTemporaryDirectory() + "captured-\(ProcessInfo.processInfo.processIdentifier)"
let capture = try Capture(session, request, picturesPerFile: 2)
for size in capture.sizes { print("\(size.layer): \(size.bytes) bytes") }
for store in try capture.run(into: folder) { print("store in \(store)") }
try FileManager.default.removeItem(atPath: folder)
