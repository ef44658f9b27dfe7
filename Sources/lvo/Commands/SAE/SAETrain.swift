import ArgumentParser
import Files
import Foundation
import Ops
import SparseAutoencoders
import StableDiffusion
import Studies
import WorkUnits

struct SAETrain: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Train sparse autoencoders on a model's activations.",
        discussion: """
            Activations come from a store (--activations, see `lvo capture`) or straight from pictures being drawn \
            (--model, --layer, --prompts), mixed in a buffer. Each layer gets a folder DIR/LAYER with its checkpoint, \
            metrics and curves, and at the end cfg.json and sae.safetensors in DIR/LAYER/unet.LAYER. Run the same \
            command again to go on after a stop or a crash; the result is the same as without one.
            """)

    @Option(help: ArgumentHelp("Store of activations, or a folder of stores.", valueName: "dir"))
    var activations: String?

    @OptionGroup var pictures: ActivationOptions
    @OptionGroup var training: SAETrainingOptions
    @OptionGroup var runtime: RuntimeOptions

    @Option(help: "Tokens in the buffer that mixes the activations of pictures.")
    var buffer = 65536

    @Option(help: "Steps between checkpoints: at most so many are done again after a crash.")
    var checkpointEvery = 100

    @Option(help: "Steps between lines of progress; 0: none.")
    var progressEvery = 50

    @Option(help: ArgumentHelp("Folder for the runs; made if missing.", valueName: "dir"))
    var output: String

    func validate() throws {
        if (activations == nil) == (pictures.model == nil) {
            throw ValidationError("give either --activations or --model with --layer and --prompts")
        }
        if checkpointEvery < 1 { throw ValidationError("--checkpoint-every \(checkpointEvery): expected at least 1") }
        if progressEvery < 0 { throw ValidationError("--progress-every \(progressEvery): expected at least 0") }
        let least = 2 * training.batch
        if buffer < least { throw ValidationError("--buffer \(buffer): expected at least two batches, \(least)") }
    }

    func run() throws {
        let engine = try runtime.engine()
        let stop = StopFlag()
        let signals = stop.listen()
        defer { withExtendedLifetime(signals) {} }
        if let activations {
            try trainFromStores(activations, engine, stop)
        } else {
            try trainFromPictures(engine, stop)
        }
        if stop.isRaised { throw Stopped() }
    }

    private var keepsSamples: Bool { training.kind == .sampleTopK }

    private func trainFromStores(_ folder: String, _ engine: Engine, _ stop: StopFlag) throws {
        let files = FileManager.default
        let layers = files.fileExists(atPath: "\(folder)/store.json")
            ? [folder]
            : (try? files.contentsOfDirectory(atPath: folder).sorted())?.map { "\(folder)/\($0)" }
                .filter { files.fileExists(atPath: "\($0)/store.json") } ?? []
        guard !layers.isEmpty else {
            throw SimpleFailure(.missingInput, "\(folder): no store.json; see `lvo capture`")
        }
        let progress = TrainingProgress(every: progressEvery)
        for layer in layers where !stop.isRaised {
            let store = try ActivationStore(folder: layer)
            let source = try StoreSource(store, keepsSamples: keepsSamples, seed: training.seed)
            let run = try makeRun(store.layer, width: store.width, source, engine)
            progress.add(run)
            try run.advance(shallStop: { stop.isRaised }, progress: { progress.show(run, $0) })
            try finish(run)
        }
    }

    private func trainFromPictures(_ engine: Engine, _ stop: StopFlag) throws {
        let progress = TrainingProgress(every: progressEvery)
        let producer = try pictures.activations(seed: training.seed, limit: nil, engine: engine) {
            if stop.isRaised { throw Stopped() }
            progress.show(picture: $0, call: $1, of: $2)
        }
        let stream = ActivationStream(
            producer, keepsSamples: keepsSamples, capacityTokens: buffer, seed: training.seed)
        try withExtendedLifetime(stream) {
            let runs = try zip(producer.layers, stream.sources).map { layer, source in
                (run: try makeRun(layer.name, width: layer.width, source, engine), source: source)
            }
            for (run, _) in runs { progress.add(run) }
            try trainTogether(runs, shallStop: { stop.isRaised }, progress: progress.show)
            for (run, _) in runs { try finish(run) }
        }
    }

    private func makeRun(
        _ layer: String, width: Int, _ source: any ActivationSource, _ engine: Engine
    ) throws -> TrainingRun {
        let configuration = try training.configuration(width: width)
        return try TrainingRun(
            folder: "\(output)/\(layer)", hookpoint: "unet.\(layer)", configuration: configuration,
            options: training.training, source: source, interval: checkpointEvery, engine: engine)
    }

    /// Draws the curves, and says where the autoencoder is if it is complete.
    private func finish(_ run: TrainingRun) throws {
        try SAECurves.write(folder: run.folder)
        if run.isFinished { print("\(run.folder)/\(run.hookpoint)") }
    }
}
