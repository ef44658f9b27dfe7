import ArgumentParser
import Experiments
import Files
import SparseAutoencoders
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

    @Option(help: "Tokens in the buffer that mixes the activations of pictures. Default: 65536, or two batches.")
    var buffer: Int?

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
        if activations != nil, let unused = buffer != nil ? "--buffer" : pictures.given.first {
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
        let engine = try runtime.engine()
        try OutputCheck.folder(output)
        training.seed.value()
        let progress = TrainingProgress(every: progressEvery)
        let training = AutoencoderTraining(
            training.settings, folder: output, interval: checkpointEvery, engine: engine, check: stop.check,
            report: progress.show)
        if let activations { return try training.run(ActivationStore.all(in: activations)) }
        let session = try pictures.session(engine: engine)
        let producer = try GeneratedActivations(session, pictures.request(seed: self.training.seed.number, session)) {
            try stop.check()
            progress.show(picture: $0, call: $1, of: $2)
        }
        try training.run(producer, buffer: buffer ?? max(65536, 2 * self.training.batch))
    }
}
