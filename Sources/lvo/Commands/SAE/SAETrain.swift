import ArgumentParser
import Experiments
import Files
import WorkUnits

struct SAETrain: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train", abstract: "Train sparse autoencoders on a model's activations.",
        discussion: """
            Activations come from stores (--activations, see `lvo capture`) or straight from pictures being drawn \
            (--model, --layer, --prompts), mixed in a buffer. Each layer gets a folder DIR/LAYER with its checkpoint, \
            metrics and curves, and at the end cfg.json and sae.safetensors in DIR/LAYER/unet.LAYER. Run the same \
            command again to go on after a stop or a crash; the result is the same as without one.
            """)

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Stores of activations, or folders of stores by layer; read together, parts of one store as one.",
            valueName: "dir"))
    var activations: [String] = []

    @Flag(help: "Train while the stores are still being drawn, and wait for what is not there yet.")
    var follow = false

    @Option(
        help: """
            Files of the stores that are mixed with one another at a time. Default: all; with --follow \(Self.window). \
            The result depends on it, but not on when files came.
            """)
    var window: Int?

    @OptionGroup var pictures: ActivationOptions
    @OptionGroup var training: SAETrainingOptions
    @OptionGroup var precision: PrecisionOptions
    @OptionGroup var runtime: RuntimeOptions

    @Option(help: "Tokens in the buffer that mixes the activations of pictures. Default: 65536, or two batches.")
    var buffer: Int?

    @Option(help: "Steps between checkpoints: at most so many are done again after a crash.")
    var checkpointEvery = 100

    @Option(help: "Steps between lines of progress; 0: none.")
    var progressEvery = 50

    @Option(help: ArgumentHelp("Folder for the runs; made if missing.", valueName: "dir"))
    var output: String

    func validate() throws {
        if activations.isEmpty == (pictures.model == nil) {
            throw ValidationError("give either --activations or --model with --layer and --prompts")
        }
        if activations.isEmpty, let unused = follow ? "--follow" : window != nil ? "--window" : nil {
            throw ValidationError("\(unused) is for stores; it needs --activations")
        }
        if let window, window < 1 { throw ValidationError("--window \(window): expected at least 1") }
        if !activations.isEmpty, let unused = buffer != nil ? "--buffer" : pictures.given.first {
            throw ValidationError("\(unused) is for activations of pictures being drawn; it does not go with --activations")
        }
        if checkpointEvery < 1 { throw ValidationError("--checkpoint-every \(checkpointEvery): expected at least 1") }
        if progressEvery < 0 { throw ValidationError("--progress-every \(progressEvery): expected at least 0") }
        let least = 2 * training.batch
        if let buffer, buffer < least {
            throw ValidationError("--buffer \(buffer): expected at least two batches, \(least)")
        }
    }

    func run() throws { try hearingSignals(run) }

    private func run(_ stop: StopFlag) throws {
        let engine = try runtime.engine(precision)
        try OutputCheck.folder(output)
        training.seed.value()
        let progress = TrainingProgress(every: progressEvery)
        let training = AutoencoderTraining(
            training.settings, folder: output, interval: checkpointEvery, engine: engine, check: stop.check,
            report: progress.show)
        if !activations.isEmpty { return try run(training, on: ActivationFolders(activations)) }
        let session = try pictures.session(engine: engine)
        let producer = try GeneratedActivations(session, pictures.request(seed: self.training.seed.number, session)) {
            try stop.check()
            progress.show(picture: $0, call: $1, of: $2)
        }
        try training.run(producer, buffer: buffer ?? max(65536, 2 * self.training.batch))
    }

    private func run(_ training: AutoencoderTraining, on folders: ActivationFolders) throws {
        if follow { return try training.follow(folders, window: window ?? Self.window) }
        try training.run(Array(folders.complete().joined()), window: window)
    }

    /// Files that are mixed while following.
    private static let window = 8
}
