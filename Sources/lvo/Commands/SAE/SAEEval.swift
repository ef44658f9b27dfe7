import ArgumentParser
import Experiments
import Files
import Foundation
import Ops
import SparseAutoencoders
import StableDiffusion
import Studies

struct SAEEval: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "eval", abstract: "Say how good a sparse autoencoder is.",
        discussion: """
            On stored activations it was not trained on: FVU, explained variance, active, dead and dense features, by \
            time step too, and decoder neighbours. With --model and --prompts also the loss recovered in the model; \
            with --against the features that another autoencoder has as well. Writes DIR/eval.json and DIR/eval.html.
            """)

    @Option(help: ArgumentHelp("Folder of the autoencoder (with cfg.json), or: embedded.", valueName: "dir"))
    var sae: String

    @Option(help: ArgumentHelp("Store of held-out activations, see `lvo capture`.", valueName: "dir"))
    var activations: String

    @Option(help: ArgumentHelp("Another autoencoder of the same layer, to match features with.", valueName: "dir"))
    var against: String?

    @Option(help: ArgumentHelp("Model folder or: embedded. Measures the loss recovered.", valueName: "dir"))
    var model: String?

    @Option(help: ArgumentHelp("Prompts of the pictures for the loss recovered.", valueName: "file"))
    var prompts: String?

    @Option(help: "How many of the prompts are used.")
    var pictures = 8

    @Option(help: "Sampler steps of their pictures.")
    var samplerSteps = GenerationParameters().steps

    @Option(help: "Guidance scale of their pictures.")
    var cfgScale = GenerationParameters().guidanceScale

    @Option(parsing: .upToNextOption, help: "Time steps at which the loss is measured.")
    var timesteps = [101, 301, 501, 701, 901]

    @OptionGroup var runtime: RuntimeOptions

    @Option(help: ArgumentHelp("Folder for the report; made if missing.", valueName: "dir"))
    var output: String

    @Flag(help: "Replace files that exist.")
    var overwrite = false

    func validate() throws {
        if (model == nil) != (prompts == nil) { throw ValidationError("--model and --prompts go together") }
        if pictures < 1 || samplerSteps < 1 { throw ValidationError("--pictures and --sampler-steps: at least 1") }
        if let bad = timesteps.first(where: { !(0...999).contains($0) }) {
            throw ValidationError("--timesteps \(bad): expected 0…999")
        }
    }

    func run() throws {
        let engine = try runtime.engine()
        try checkOutput()
        let store = try ActivationStore(folder: activations)
        let autoencoder = try SAEOptions.load(sae, layer: store.layer, width: store.width)
        let other = try against.map { try SAEOptions.load($0, layer: store.layer, width: store.width) }
        _ = try store.open(verify: true)
        var report = SAEReport(name: sae, layer: store.layer, evaluation: try evaluate(autoencoder, store, engine))
        report.neighbours = autoencoder.decoderNeighbours(engine: engine)
        report.matches = other.map { autoencoder.match($0, engine: engine) }
        report.other = against
        report.recovered = try lossRecovered(autoencoder, store.layer, engine)
        try OutputFile.makeFolder(output)
        try report.json.write(to: "\(output)/eval.json", overwrite: overwrite)
        let page = try OutputFile(path: "\(output)/eval.html", overwrite: overwrite)
        try page.write(Array(report.html.utf8))
        try page.commit()
        print(report.summary)
    }

    /// Before the work, not after it.
    private func checkOutput() throws {
        for name in ["eval.json", "eval.html"] where !overwrite {
            if FileManager.default.fileExists(atPath: "\(output)/\(name)") {
                throw FileFailure.exists(file: "\(output)/\(name)")
            }
        }
    }

    private func evaluate(
        _ autoencoder: SparseAutoencoder, _ store: ActivationStore, _ engine: Engine
    ) throws -> SAEEvaluation {
        var means = ActivationMeans(width: store.width)
        try store.forEachMap { means.add($0, timestep: $1, engine: engine) }
        var evaluation = SAEEvaluation(autoencoder, means: means, engine: engine)
        try store.forEachMap { evaluation.add($0, timestep: $1) }
        return evaluation
    }

    private func lossRecovered(
        _ autoencoder: SparseAutoencoder, _ layer: String, _ engine: Engine
    ) throws -> LossRecovered? {
        guard let model, let prompts else { return nil }
        var parameters = GenerationParameters()
        (parameters.steps, parameters.guidanceScale) = (samplerSteps, cfgScale)
        return try LossRecovered(
            autoencoder, layer: layer, generator: Generator(ModelOptions.folder(model), engine: engine),
            prompts: Array(Prompt.read(prompts).suffix(pictures)), parameters: parameters, timesteps: timesteps,
            seed: 0, engine: engine, check: {})
    }
}
