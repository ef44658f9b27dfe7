import ArgumentParser
import Experiments
import Files
import Pictures
import StableDiffusion
import Studies

struct Generate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make pictures from prompts, or from pictures and prompts.",
        discussion: """
            The same seed gives the picture that diffusers gives on a CPU. Each picture is DIR/NUMBER-SEED.png and \
            carries its parameters; --params-from repeats it.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var runtime: RuntimeOptions
    @OptionGroup var sampling: SamplingOptions
    @OptionGroup var size: SizeOptions
    @OptionGroup var hooks: HookOptions

    @Option(parsing: .upToNextOption, help: "Prompts. Default: the empty one.")
    var prompt: [String] = []

    @Option(help: ArgumentHelp("File of prompts, one a line, or JSON lines with a 'text'.", valueName: "file"))
    var prompts: String?

    @Option(help: "Pictures per prompt.")
    var batchCount = 1

    @Option(help: ArgumentHelp("Start from this PNG instead of from noise.", valueName: "png"))
    var initImage: String?

    @Option(help: "How much of --init-image is replaced, up to 1. Default: \(GenerationParameters().strength).")
    var strength: Double?

    @Flag(help: "Also write each latent, as NUMBER-SEED.safetensors ('latent' [1, 4, h, w]).")
    var saveLatent = false

    @Option(help: ArgumentHelp("Folder for the pictures; made if missing.", valueName: "dir"))
    var output: String

    @OptionGroup var preview: PreviewOptions

    @Flag(help: "Replace files that exist.")
    var overwrite = false

    func validate() throws {
        if batchCount < 1 { throw ValidationError("--batch-count \(batchCount): expected at least 1") }
        if strength != nil, initImage == nil { throw ValidationError("--strength needs --init-image") }
        if let strength, !(0...1).contains(strength) {
            throw ValidationError("--strength \(strength): expected a number from 0 to 1")
        }
        if !prompt.isEmpty, prompts != nil { throw ValidationError("--prompt and --prompts exclude each other") }
    }

    func run() throws {
        try OutputCheck.folder(output)
        var parameters = try sampling.parameters(fromPicture: initImage != nil)
        parameters.width = size.width ?? parameters.width
        parameters.height = size.height ?? parameters.height
        parameters.strength = strength ?? parameters.strength
        let given = prompt.isEmpty ? [parameters.prompt] : prompt
        let texts = try prompts.map { try Prompt.read($0).map(\.text) } ?? given
        let pictures = texts.flatMap { text in
            (0..<batchCount).map { index in
                var picture = parameters
                picture.prompt = text
                picture.seed = parameters.seed &+ UInt64(index)
                return picture
            }
        }
        let job = try GenerationJob(self, start: initImage.map { try PNG.read($0).bitmap })
        try job.run(pictures)
    }
}
