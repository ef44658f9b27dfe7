import ArgumentParser
import Checkpoints
import Files
import Pictures
import StableDiffusion
import Tensors

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
        let folder = try model.folder()
        let factor = try folder.pixelFactor()
        let bitmaps = try pictures.map { try PictureFile.read($0) }
        let (width, height) = (bitmaps[0].width, bitmaps[0].height)
        for (path, bitmap) in zip(pictures, bitmaps) {
            guard bitmap.width == width, bitmap.height == height, width % factor == 0, height % factor == 0 else {
                throw SimpleFailure(
                    .badData,
                    "\(path): \(bitmap.width)×\(bitmap.height) pixels; expected multiples of \(factor),"
                        + " the same for all pictures")
            }
        }
        let encoder = try folder.loadVAEEncoder(engine: runtime.engine())
        let latents = try bitmaps.map { try encoder.encode($0.tensor()).latent() }
        let shape = [latents.count] + latents[0].shape[1...]
        try SafetensorsWriter.write(
            [("latent", Tensor(shape, latents.flatMap(\.array)))], to: output, overwrite: overwrite)
        print(output)
    }
}
