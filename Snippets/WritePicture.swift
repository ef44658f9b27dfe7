// A picture from a prompt, written with the text that repeats it.
import Foundation
import LVO

let engine = try Engine()
let folder = try ModelFolder(EmbeddedModel.model())
let generator = try Generator(folder, engine: engine)

var parameters = GenerationParameters()
parameters.prompt = "a small yellow star on a green background"
parameters.steps = 20
parameters.seed = 7

let latent = try generator.latent(parameters)
let picture = Bitmap.pictures(try folder.loadVAEDecoder(engine: engine).decode(latent))[0]
let path = NSTemporaryDirectory() + "star.png"
try PNG.write(
    picture, text: [PNGText("Software", "lvo \(Release.version)")], to: path, overwrite: true)
print(path)
