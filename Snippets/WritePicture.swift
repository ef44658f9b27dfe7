// A picture from a prompt, written with the text that repeats it.
import Foundation
import LVO

let session = try ModelSession(ModelReference(EmbeddedModel.name), engine: Engine())
let drawing = try PictureDrawing(session, software: "lvo \(Release.version)")

var parameters = GenerationParameters()
parameters.prompt = "a small yellow star on a green background"
parameters.steps = 20
parameters.seed = 7

let stem = NSTemporaryDirectory() + "star"
try drawing.draw(parameters).write(stem: stem, overwrite: true)
print("\(stem).png")
