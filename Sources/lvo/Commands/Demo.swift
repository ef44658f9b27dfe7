import ArgumentParser
import Checkpoints
import Foundation
import Pictures
import SparseAutoencoders
import StableDiffusion
import Studies
import Tensors
import Visualization

struct Demo: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Dream features of the embedded model, in under a minute on two cores.",
        discussion: """
            Shows what four features of a small trained model look for: a row for each, a column per seed. The last \
            line of output is the path of the picture.
            """)

    @Option(help: ArgumentHelp("Folder to write to; made if it is missing.", valueName: "dir"))
    var output = "lvo-demo"

    @OptionGroup var runtime: RuntimeOptions

    @Flag(help: "Replace files that exist.")
    var overwrite = false

    /// What the strongest examples of these features share in the model's training pictures.
    private static let features: [(index: Int, shows: String)] = [
        (742, "vertical stripes"), (439, "checkerboard, cyan"), (718, "red ground"), (731, "white ground"),
    ]
    private static let seeds: [UInt64] = Array(DreamSettings.seeds.prefix(3))
    private static let timestep = 301

    private static let settings = DreamSettings(.tuned)

    func run() throws {
        let path = "\(output)/dreams.png"
        try OutputFile.makeFolder(output)
        if !overwrite, access(path, F_OK) == 0 { throw CheckpointFailure.exists(file: path) }
        let engine = try runtime.engine()
        let folder = try ModelFolder(EmbeddedModel.model())
        let hook = try folder.unetConfig.hookPoint(EmbeddedModel.layer)
        let autoencoder = try SAEOptions.load(EmbeddedModel.autoencoders(), for: hook)
        let decoder = try folder.loadVAEDecoder(engine: engine)
        let unet = try folder.loadUNet(upTo: hook, engine: engine)
        let context = try PromptEncoder(folder, engine: engine).encode([""]).context
        let dreamer = Dreamer(
            unet: unet, hook: hook, text: unet.prepare(context: context), schedule: try folder.scheduler().schedule)
        let progress = Progress(total: Self.features.count * Self.settings.steps, emitsEvents: false)
        let rows = Self.features.map { feature in
            let latents = dream(.feature(feature.index, of: autoencoder), dreamer, folder.unetConfig, progress)
            return Bitmap.pictures(decoder.decode(latents)).enumerated().map { column, picture in
                ContactSheet.Cell(picture, label: column == 0 ? "\(feature.index): \(feature.shows)" : "")
            }
        }
        progress.close()
        let title = "What four features look for (t = \(Self.timestep))"
        let sheet = ContactSheet(rows: rows, enlargement: 3, title: title)
        try PNG.write(sheet.draw(), to: path, overwrite: overwrite)
        progress.result(path)
    }

    /// The latents of all seeds, which share a batch but not their results.
    private func dream(
        _ objective: Objective, _ dreamer: Dreamer, _ config: UNetConfig, _ progress: Progress
    ) -> Tensor {
        let (side, channels) = (config.sampleSize, config.layout.inChannels)
        let starts = Self.seeds.map { Dreamer.noise(seed: $0, channels: channels, height: side, width: side) }
        var run = dreamer.run(
            start: Tensor([starts.count, channels, side, side], starts.flatMap(\.array)), objectives: [objective],
            timestep: Self.timestep, seeds: Self.seeds, settings: Self.settings)
        while let step = run.next() {
            let mean = step.activations.reduce(0, +) / Double(step.activations.count)
            progress.advance("\(objective.name): activation \((mean * 100).rounded() / 100)")
        }
        return run.latent
    }
}
