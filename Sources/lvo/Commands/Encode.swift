import ArgumentParser
import Checkpoints
import Experiments
import Files

struct Encode: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Turn pictures into latents, to start dreams from or to look at with `lvo probe`.",
        discussion: """
            Writes `latent` [B, 4, h, w] as the U-Net has it: the mean that the encoder gives, times the model's \
            scaling factor. Several pictures must have the same size, a multiple of the model's pixel factor.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var runtime: RuntimeOptions

    @Argument(help: ArgumentHelp("Pictures: PNG, JPEG, WebP.", valueName: "picture"))
    var pictures: [String]

    @Option(help: ArgumentHelp("Safetensors file to write.", valueName: "file"))
    var output: String

    @Flag(help: "Replace the file if it exists.")
    var overwrite = false

    func run() throws {
        try OutputCheck.file(output, overwrite: overwrite)
        let latents = try PictureLatents.encode(pictures, model.session(engine: runtime.engine()))
        try SafetensorsWriter.write([("latent", latents)], to: output, overwrite: overwrite)
        print(output)
    }
}
