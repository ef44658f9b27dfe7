import ArgumentParser
import Files
import StableDiffusion

struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say what a model file or folder is: family, precision, prediction type, missing and extra tensors.")

    @Argument(help: "A diffusers folder, or a .safetensors, .ckpt or .bin file.")
    var path: String

    @Flag(help: "Print JSON, with full lists of names.")
    var json = false

    func run() throws {
        let inspection = try Inspection(path: path)
        print(json ? inspection.json.serialized(pretty: true) : inspection.text, terminator: "")
    }
}
