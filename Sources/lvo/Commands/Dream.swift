import ArgumentParser
import Experiments
import Files
import Pictures
import StableDiffusion
import Visualization
import WorkUnits

struct Dream: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Find latents that make channels or features of a layer as active as possible.",
        discussion: """
            For each channel or feature, time step and seed, writes to the output folder a picture, the latent it was \
            decoded from (safetensors, `latent` [1, 4, h, w]) and a JSON record of every step. The picture's text \
            chunk `lvo` holds all settings and the command that repeats it.

              lvo dream --model DIR --layer up_blocks.1.attentions.1 --feature 742 --sae DIR --timestep 301 --output out
            """)

    @OptionGroup var model: ModelOptions

    @Option(help: "Layer, as `lvo layers` names it.")
    var layer: String

    @OptionGroup(title: "What to seek") var objective: ObjectiveOptions

    @Option(parsing: .upToNextOption, help: "Time steps, 0…999 of Stable Diffusion, at which the layer is looked at.")
    var timestep: [Int]

    @Option(parsing: .upToNextOption, help: "Seeds, a result for each; -1 draws one.")
    var seed: [SeedArgument] = DreamSettings.seeds.map { SeedArgument($0) }

    @Option(
        name: .customLong("init"),
        help: ArgumentHelp(
            """
            Where to start: noise; pool, the pictures that excite most among N that the model draws by itself (once, \
            then kept; unless N is given, 64 of 64 × 64 latents and more of smaller ones); or a safetensors file with \
            `latent` [4, h, w], or [B, 4, h, w]: one per seed, in turn. Default: pool with the preset clear, else noise.
            """,
            valueName: "noise|pool[:n]|file"))
    var start: StartArgument?

    @OptionGroup var prompt: PromptOptions
    @OptionGroup var size: SizeOptions
    @OptionGroup(title: "Optimization") var options: DreamOptions

    @Option(
        parsing: .unconditional, help: "Latents computed together when they are independent. Default: one per seed.")
    var batch: Int?

    @OptionGroup var workers: WorkersOption

    @Option(help: ArgumentHelp("Batches of one worker.", valueName: "i/n", visibility: .private))
    var batches: String?

    @OptionGroup(title: "Output") var output: DreamOutputOptions
    @OptionGroup var precision: PrecisionOptions
    @OptionGroup var runtime: RuntimeOptions
    @OptionGroup var memory: MemoryOptions

    func validate() throws {
        if seed.isEmpty { throw ValidationError("--seed needs at least one number") }
        if let large = seed.first(where: { $0.number > UInt64(Int.max) }) {
            throw ValidationError("--seed \(large): expected at most \(Int.max)")
        }
        if Set(seed.map(\.number)).count != seed.count { throw ValidationError("--seed has a number twice") }
        if Set(timestep).count != timestep.count { throw ValidationError("--timestep has a number twice") }
        if let batch, batch < 1 { throw ValidationError("--batch \(batch): expected at least 1") }
        if workers.workers != nil, seed.contains(where: \.isDrawn) {
            throw ValidationError("--workers needs seeds that all know, not -1")
        }
        if case .file = start, size.width != nil || size.height != nil {
            throw ValidationError("-W and -H go with noise; a latent file has its own size")
        }
    }

    func run() throws {
        workers.begin()
        try OutputCheck.folder(output.output)
        let session = try model.session(
            autoencoders: objective.autoencoder.sae, engine: runtime.engine(precision), memory: memory.memory)
        let experiment = try DreamExperiment(request(session), session: session)
        let part = try batches.map { try Shard($0) } ?? .whole
        let writer = try DreamWriter(experiment, output, part: part, isWorker: workers.worker)
        if memory.memory != nil { note("memory plan\n\(experiment.memory)") }
        if case .pool(let count) = experiment.request.start {
            let line = ProgressLine()
            defer { line.close() }
            _ = try session.pool(count, size: experiment.size) { done, count in
                line.show("\(done) of \(count) pictures drawn to start from")
            }
        }
        warnAboutDropped([try session.text(experiment.request.text).dropped])
        let groups = workers.groups(most: experiment.batches.count, memory: experiment.memory.totalBytes)
        try groups.map(writer.share) ?? writer.run()
    }

    private func request(_ session: ModelSession) throws -> DreamRequest {
        let objectives = try objective.objectives(session, layer: layer)
        return DreamRequest(
            layer: layer, objectives: objectives, timesteps: timestep, seeds: seed.map { $0.value() },
            start: try start(session), text: prompt.source, width: size.width, height: size.height,
            settings: try options.settings(),
            batch: batch, display: output.display)
    }

    private func start(_ session: ModelSession) throws -> DreamStart {
        switch start ?? (options.preset == .clear ? .pool(nil) : .noise) {
        case .noise: return .noise
        case .pool(let count):
            let latents = try session.folder.latentSize(pixelWidth: size.width, pixelHeight: size.height)
            return .pool(count ?? NaturalPool.defaultCount(latents))
        case .file(let file):
            let channels = session.folder.unetConfig.inChannels
            return .latents(try TensorFile.latent(file, channels: channels), file: file)
        }
    }
}

/// The files that are written, and the reports.
struct DreamOutputOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Folder to write to; made if it is missing.", valueName: "dir"))
    var output: String

    @Option(help: ArgumentHelp("Also write a picture every so many steps.", valueName: "steps"))
    var every: Int?

    @Flag(help: "With --every: also write those pictures as one animated PNG, NAME_course.png.")
    var animation = false

    @Option(
        help: ArgumentHelp(
            "Also write a PNG with all results: a row per channel or feature and time step, a column per seed.",
            valueName: "file"))
    var sheet: String?

    @Option(help: "How values become colours: unit maps −1…1, stretch a batch's own minimum and maximum.")
    var display = DisplayRange.unit

    @OptionGroup var preview: PreviewOptions

    @Flag(help: "Tell what happens as lines of JSON on standard output.")
    var json = false

    @Flag(help: "Replace files that exist.")
    var overwrite = false

    func validate() throws {
        if let every, every < 1 { throw ValidationError("--every \(every): expected at least 1") }
        if animation, every == nil { throw ValidationError("--animation needs --every: the steps between its pictures") }
    }
}
