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

    @OptionGroup var unused: UnusedKeysOption

    @Option(help: "Precision of the written weights.")
    var dtype = Synthesize.Precision.f16

    @Option(help: "Folder to write.")
    var output: String

    @Flag(help: "Replace files that exist.")
    var overwrite = false

    func run() throws {
        try OutputCheck.folder(output)
        let source = try ModelSource(path: input, vae: vae, loras: lora.map { ($0.path, $0.scale) })
        try UnusedKeysOption.check(source, allowUnused: unused.allowUnused)
        let text = try TextEncoderConfig(source.config(.textEncoder))
        let isCLIP = source.tokenizerFolder == nil && text.vocabularySize == Vocabulary.clipCount
        guard isCLIP || source.tokenizerFolder != nil else {
            throw SimpleFailure(
                .missingInput,
                "\(input): it has no tokenizer, and its vocabulary of \(text.vocabularySize) is not CLIP's; put a folder "
                    + "'tokenizer' beside it")
        }
        try ModelFolderWriter.write(
            source, to: output, dtype: dtype.dtype, overwrite: overwrite,
            tokenizer: isCLIP ? { try Vocabulary.writeCLIP(to: $0, overwrite: overwrite) } : nil)
        print("wrote \(output)")
    }
}
