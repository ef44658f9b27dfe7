import ArgumentParser
import Experiments
import Files
import Ops
import SparseAutoencoders
import StableDiffusion
import WorkUnits

struct SAEEval: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "eval", abstract: "Evaluate a sparse autoencoder.",
        discussion: """
            On stored activations it was not trained on: FVU, explained variance, active, dead and dense features, by \
            time step too, and decoder neighbours. With --model and --prompts also the loss recovered in the model; \
            with --against the features that another autoencoder has as well. Writes DIR/eval.json and DIR/eval.html.
            """)

    @Option(help: ArgumentHelp("Folder of the autoencoder (with cfg.json), or: embedded.", valueName: "dir"))
    var sae: String

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Held-out activations of a layer: stores or their parts, see `lvo capture`.", valueName: "dir"))
    var activations: [String]

    @Option(help: ArgumentHelp("Another autoencoder of the same layer, to match features with.", valueName: "dir"))
    var against: String?

    @Option(help: ArgumentHelp("Model folder or: embedded. Measures the loss recovered.", valueName: "dir"))
    var model: String?

    @Option(help: ArgumentHelp("Prompts of the pictures for the loss recovered.", valueName: "file"))
    var prompts: String?

    @OptionGroup var changes: ModelChangeOptions
    @OptionGroup var syntax: EmphasisOption

    @Option(help: "How many of the prompts are used, of the file's last ones. Default: 8.")
    var pictures: Int?

    @Option(help: "Sampler steps of their pictures. Default: \(GenerationParameters().steps).")
    var samplerSteps: Int?

    @Option(help: "Guidance scale of their pictures. Default: \(GenerationParameters().guidanceScale).")
    var cfgScale: Float?

    @Option(
        parsing: .upToNextOption, help: "Time steps at which the loss is measured. Default: 101 301 501 701 901.")
    var timesteps: [Int] = []

    @OptionGroup var precision: PrecisionOptions
    @OptionGroup var runtime: RuntimeOptions

    @Option(help: ArgumentHelp("Folder for the report; made if missing.", valueName: "dir"))
    var output: String

    @Flag(help: "Replace files that exist.")
    var overwrite = false

    func validate() throws {
        if (model == nil) != (prompts == nil) { throw ValidationError("--model and --prompts go together") }
        let options = [
            ("--pictures", pictures != nil), ("--sampler-steps", samplerSteps != nil), ("--cfg-scale", cfgScale != nil),
            ("--timesteps", !timesteps.isEmpty), ("--lora", !changes.lora.isEmpty),
            ("--embedding", !changes.embedding.isEmpty), ("--emphasis", syntax.emphasis),
        ]
        if model == nil, let unused = options.first(where: \.1) {
            throw ValidationError("\(unused.0) is for the loss recovered, which needs --model and --prompts")
        }
        if pictures ?? 1 < 1 || samplerSteps ?? 1 < 1 {
            throw ValidationError("--pictures and --sampler-steps: at least 1")
        }
        if let bad = timesteps.first(where: { !(0...999).contains($0) }) {
            throw ValidationError("--timesteps \(bad): expected 0…999")
        }
    }

    func run() throws { try hearingSignals(run) }

    private func run(_ stop: StopFlag) throws {
        let engine = try runtime.engine(precision)
        try OutputCheck.folder(output)
        for file in AutoencoderReport.files(in: output) where FileSystem.isFolder(output) {
            try OutputCheck.file(file, overwrite: overwrite)
        }
        let stores = try storesOfOneLayer()
        let store = stores[0]
        var evaluation = try AutoencoderEvaluation(
            SAEOptions.load(sae, layer: store.layer, width: store.width), name: sae)
        evaluation.other = try against.map {
            (try SAEOptions.load($0, layer: store.layer, width: store.width), $0)
        }
        evaluation.lossRecovered = try lossRecovered(engine)
        let report = try evaluation.run(stores, engine: engine, check: stop.check)
        try report.write(to: output, overwrite: overwrite)
        print(report.summary)
    }

    private func storesOfOneLayer() throws -> [ActivationStore] {
        let layers = try ActivationFolders(activations).complete()
        guard layers.count == 1 else {
            let names = layers.map { $0[0].layer }.joined(separator: ", ")
            throw ValidationError("--activations: of \(names); name the folder of one of these layers")
        }
        return layers[0]
    }

    private func lossRecovered(_ engine: Engine) throws -> LossRecovered.Measurement? {
        guard let model, let prompts else { return nil }
        var measurement = LossRecovered.Measurement(
            try changes.session(changes.reference(model), engine: engine).generator(),
            prompts: Array(try Prompt.read(prompts).suffix(pictures ?? 8)))
        EmphasisOption.warnAboutSyntax(measurement.prompts.map(\.text), isRead: syntax.emphasis)
        measurement.parameters.emphasis = syntax.emphasis
        measurement.parameters.steps = samplerSteps ?? measurement.parameters.steps
        measurement.parameters.guidanceScale = cfgScale ?? measurement.parameters.guidanceScale
        if !timesteps.isEmpty { measurement.timesteps = timesteps }
        return measurement
    }
}
