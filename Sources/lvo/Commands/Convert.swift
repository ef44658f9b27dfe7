import ArgumentParser
import Files
import StableDiffusion

struct Convert: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write any Stable Diffusion 1.x model as a clean diffusers folder, with LoRAs merged if given.")

    @Argument(help: "A diffusers folder, or a .safetensors or .ckpt file.")
    var input: String

    @Option(help: "A VAE file or folder to use instead of the model's own.")
    var vae: String?

    @Option(help: "A LoRA to merge, FILE[:SCALE]; may be repeated.")
    var lora: [LoRAArgument] = []

    @Option(help: "Precision of the written weights.")
    var dtype = Synthesize.Precision.f16

    @Option(help: "Folder to write.")
    var output: String

    @Flag(help: "Replace files that exist.")
    var overwrite = false

    func run() throws {
        try OutputCheck.folder(output)
        let source = try ModelSource(path: input, vae: vae, loras: lora.map { ($0.path, $0.scale) })
        for key in source.unusedLoRAKeys { note("unused: \(key)") }
        let text = try TextEncoderConfig(source.config(.textEncoder))
        let isCLIP = source.tokenizerFolder == nil && text.vocabularySize == Vocabulary.clipCount
        try ModelFolderWriter.write(
            source, to: output, dtype: dtype.dtype, overwrite: overwrite,
            tokenizer: isCLIP ? { try Vocabulary.writeCLIP(to: $0, overwrite: overwrite) } : nil)
        print("wrote \(output)")
    }
}
