import ArgumentParser
import Checkpoints
import Files
import StableDiffusion
import Tensors

struct Embed: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write what the text encoder makes of prompts.",
        discussion: "Output: `ids` [B, T] (I64) and `context` [B, T, C], which `--context` of other commands reads.")

    @OptionGroup var model: ModelOptions
    @OptionGroup var runtime: RuntimeOptions

    @Option(parsing: .upToNextOption, help: "Prompts, one per sample. Default: the empty one.")
    var prompt: [String] = [""]

    @OptionGroup var syntax: EmphasisOption

    @Option(help: "Layers of the text encoder left out at its end, as diffusers counts.")
    var clipSkip = 0

    @Option(help: ArgumentHelp("Safetensors file to write.", valueName: "file"))
    var output: String

    @Flag(help: "Replace the file if it exists.")
    var overwrite = false

    func validate() throws { try ClipSkip.check(clipSkip) }

    func run() throws {
        try OutputCheck.file(output, overwrite: overwrite)
        let encoder = try PromptEncoder(model.folder(), engine: runtime.engine())
        let encoded = try syntax.encode(prompt, encoder, clipSkip: clipSkip)
        let shape = [encoded.ids.count, encoded.ids.first?.count ?? 0]
        try SafetensorsWriter.write(
            [
                Weight(name: "context", tensor: encoded.context),
                Weight(name: "ids", shape: shape, integers: encoded.ids.flatMap { $0 }),
            ],
            to: output, overwrite: overwrite)
        print(output)
    }
}
