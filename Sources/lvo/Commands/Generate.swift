import ArgumentParser
import Experiments
import Files
import Foundation
import Pictures
import StableDiffusion
import WorkUnits

struct Generate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make pictures from prompts, or from pictures and prompts.",
        discussion: """
            The same seed gives the picture that diffusers gives on a CPU. Each picture is DIR/NUMBER-SEED.png and \
            carries its parameters; --params-from repeats it.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var precision: PrecisionOptions
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

    @Option(help: ArgumentHelp("Start from this picture (PNG, JPEG, WebP) instead of from noise.", valueName: "picture"))
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

    func run() throws { try hearingSignals(run) }

    private func run(_ stop: StopFlag) throws {
        try OutputCheck.folder(output)
        let (wanted, recordings) = (try parameters(), try hooks.recordings())
        let stems = wanted.enumerated().map { number, picture in
            String(format: "%@/%05d-%@", output, number, String(picture.seed))
        }
        for path in stems.flatMap(files.paths) where FileSystem.isFolder(output) {
            try OutputCheck.file(path, overwrite: overwrite)
        }
        let start = try initImage.map { try PictureFile.read($0) }
        let session = try model.session(autoencoders: hooks.autoencoders.sae, engine: runtime.engine(precision))
        let drawing = try PictureDrawing(
            session, prediction: sampling.prediction, start: start, steering: hooks.steering(session),
            recordings: recordings, software: "lvo \(Release.version)")
        let pictures = try wanted.map(drawing.sized)
        let progress = Progress(total: try pictures.reduce(0) { $0 + (try drawing.calls($1)) })
        try OutputFile.makeFolder(output)
        for (picture, stem) in zip(pictures, stems) { try draw(picture, drawing, stem, progress, stop) }
    }

    private var files: Picture.Extras { .init(latent: saveLatent, activations: !hooks.capture.isEmpty) }

    /// Of every picture: all prompts, each with as many seeds as asked for.
    private func parameters() throws -> [GenerationParameters] {
        var parameters = try sampling.parameters(fromPicture: initImage != nil)
        parameters.width = size.width ?? parameters.width
        parameters.height = size.height ?? parameters.height
        parameters.strength = strength ?? parameters.strength
        let given = prompt.isEmpty ? [parameters.prompt] : prompt
        let texts = try prompts.map { try Prompt.read($0).map(\.text) } ?? given
        return texts.flatMap { text in
            (0..<batchCount).map { index in
                var picture = parameters
                picture.prompt = text
                picture.seed = parameters.seed &+ UInt64(index)
                return picture
            }
        }
    }

    private func draw(
        _ parameters: GenerationParameters, _ drawing: PictureDrawing, _ stem: String, _ progress: Progress,
        _ stop: StopFlag
    ) throws {
        let begin = ContinuousClock.now
        for prompt in [parameters.prompt, parameters.negativePrompt] {
            EmphasisOption.warnAboutSyntax(prompt, isRead: parameters.emphasis)
            if !parameters.emphasis { warnAboutDropped([drawing.dropped(of: prompt)]) }
        }
        let picture = try drawing.draw(parameters) {
            progress.advance("seed \(parameters.seed)")
            try stop.check()
        }
        for layer in picture.unrecorded {
            note("warning: \(layer): no time step of this sampler is in the recorded range")
        }
        try picture.write(files, stem: stem, overwrite: overwrite)
        progress.result(stem + ".png")
        try preview.show([picture.bitmap])
        let tenths = ((ContinuousClock.now - begin) / .milliseconds(100)).rounded()
        note("\(picture.bitmap.width)×\(picture.bitmap.height), \(parameters.steps) steps: \(tenths / 10) s")
    }
}
