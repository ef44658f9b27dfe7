import ArgumentParser
import Checkpoints
import Experiments
import Files
import StableDiffusion
import Tensors
import Visualization

struct Probe: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the U-Net once and write what a layer does.",
        discussion: """
            Writes a safetensors file with `activations` [B, N, D] and their `mean` over positions [B, D]; with \
            --channel or --feature also `objective`, its mean over batch and positions, or by --where (of a feature: \
            its pre-activation after the ReLU); with --gradient the `gradient` of −objective at the latent; with --eps \
            the U-Net's output `eps` [B, 4, H, W]. A folder that holds only unet/ is enough with --context.
            """)

    @OptionGroup var model: ModelOptions

    @Option(help: "Layer, as `lvo layers` names it. May be left out with --eps.")
    var layer: String?

    @Option(help: "Time step, 0…999; fractions are allowed.")
    var timestep: Float

    @Option(help: ArgumentHelp("Safetensors file with `latent` [B, 4, H, W].", valueName: "file"))
    var latent: String?

    @Option(parsing: .upToNextOption, help: "Seeds of noise latents, one per sample, drawn as PyTorch does; -1 draws one.")
    var seed: [SeedArgument] = []

    @Option(help: "Channel of the layer that is the objective.")
    var channel: Int?

    @Option(help: "Feature of the autoencoder given with --sae that is the objective.")
    var feature: Int?

    @Option(name: .customLong("where"), parsing: .upToNextOption, help: DreamOptions.help("where"))
    var location: [String] = []

    @OptionGroup var autoencoder: SAEOptions

    @Flag(help: "Write the gradient of −objective at the latent.")
    var gradient = false

    @Flag(help: "Run the whole U-Net and write its output.")
    var eps = false

    @OptionGroup var prompt: PromptOptions
    @OptionGroup var size: SizeOptions
    @OptionGroup var precision: PrecisionOptions
    @OptionGroup var runtime: RuntimeOptions
    @OptionGroup var memory: MemoryOptions

    @Option(help: ArgumentHelp("Safetensors file to write.", valueName: "file"))
    var output: String

    @Flag(help: "Replace the file if it exists.")
    var overwrite = false

    func validate() throws {
        if layer == nil, !eps { throw ValidationError("give --layer, or --eps for the U-Net's output alone") }
        if (latent == nil) == seed.isEmpty { throw ValidationError("give either --latent or --seed") }
        if latent != nil, size.width != nil || size.height != nil {
            throw ValidationError("--width and --height go with --seed; a latent file has its own size")
        }
        if channel != nil, feature != nil { throw ValidationError("--channel and --feature exclude each other") }
        let hasObjective = channel != nil || feature != nil
        if gradient, !hasObjective { throw ValidationError("--gradient needs --channel or --feature") }
        if hasObjective, layer == nil { throw ValidationError("--channel and --feature need --layer") }
        if !location.isEmpty, !hasObjective { throw ValidationError("--where needs --channel or --feature") }
        if (feature != nil) != (autoencoder.sae != nil) { throw ValidationError("--feature and --sae go together") }
    }

    func run() throws {
        try OutputCheck.file(output, overwrite: overwrite)
        let session = try model.session(
            autoencoders: autoencoder.sae, engine: runtime.engine(precision), memory: memory.memory)
        var probe = Experiments.Probe(layer: layer, timestep: timestep, latents: try latents(session))
        probe.text = prompt.source
        (probe.wantsGradient, probe.wantsPrediction) = (gradient, eps)
        probe.readout = try readout(session)
        if !location.isEmpty { probe.where = try DreamOptions.location(location) }
        if memory.memory != nil, let plan = try probe.memoryPlan(session) { note("memory plan\n\(plan)") }
        warnAboutDropped([try session.text(probe.text).dropped])
        let result = try probe.run(session)
        if memory.memory != nil {
            let measured = session.engine.workspace.statistics
            note(
                "activations took \(formatBytes(measured.peakBytesInUse)), from the system "
                    + formatBytes(measured.bytesReserved))
        }
        try SafetensorsWriter.write(
            result.tensors, metadata: try metadata(session), to: output, overwrite: overwrite)
        print(output)
    }

    private func readout(_ session: ModelSession) throws -> Readout? {
        if let channel { return .channel(channel) }
        guard let feature, let layer else { return nil }
        return .feature(feature, try session.autoencoder(layer))
    }

    private func latents(_ session: ModelSession) throws -> Tensor {
        if let latent {
            return try TensorFile.latent(latent, channels: session.folder.unetConfig.inChannels)
        }
        return try Experiments.Probe.noise(
            seeds: seed.map { $0.value() }, width: size.width, height: size.height, of: session)
    }

    private func metadata(_ session: ModelSession) throws -> [String: String] {
        var settings = ["timestep": "\(timestep)", "version": Release.version]
        settings["layer"] = try layer.map(session.hook)?.name
        settings["precision"] = session.engine.precision.recorded
        settings["channel"] = channel.map(String.init)
        settings["feature"] = feature.map(String.init)
        if !location.isEmpty { settings["where"] = location.joined(separator: ":") }
        return settings
    }
}
