import ArgumentParser
import Experiments
import Files
import Pictures
import StableDiffusion
import Tensors

struct Decode: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Turn latents into pictures.",
        discussion: """
            Reads `latent` [B, 4, h, w] from a safetensors file, as the U-Net has it. One latent gives the file named; \
            several give NAME-0.png, NAME-1.png, …
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var runtime: RuntimeOptions

    @Option(help: ArgumentHelp("Safetensors file with the latents.", valueName: "file"))
    var latent: String

    @Option(help: "How values become colours: unit maps −1…1, stretch the batch's own minimum and maximum.")
    var range = DisplayRange.unit

    @Option(help: ArgumentHelp("PNG file to write.", valueName: "file"))
    var output: String

    @OptionGroup var preview: PreviewOptions

    @Flag(help: "Replace files that exist.")
    var overwrite = false

    func run() throws {
        let folder = try model.folder()
        let channels = try folder.vaeConfig().latentChannels
        let latents = try TensorFile.latent(latent, channels: channels)
        let count = latents.shape[0]
        let paths = count == 1 ? [output] : (0..<count).map { numbered(output, $0) }
        for path in paths { try OutputCheck.file(path, overwrite: overwrite) }
        let decoder = try folder.loadVAEDecoder(engine: runtime.engine())
        let bitmaps = Bitmap.pictures(decoder.decode(latents), range: range)
        for (path, bitmap) in zip(paths, bitmaps) {
            try PNG.write(bitmap, to: path, overwrite: overwrite)
            print(path)
        }
        try preview.show(bitmaps)
    }

    private func numbered(_ path: String, _ index: Int) -> String {
        let stem = path.hasSuffix(".png") ? String(path.dropLast(4)) : path
        return "\(stem)-\(index).png"
    }
}

extension DisplayRange: ExpressibleByArgument {}
