import ArgumentParser
import Checkpoints
import Experiments
import Files
import Ops
import StableDiffusion
import Tensors

struct Probe: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the U-Net once and write what a layer does.",
        discussion: """
            Writes a safetensors file with `activations` [B, N, D] and their `mean` over positions [B, D]; with \
            --channel or --feature also `objective`, its mean over batch and positions (of a feature: its \
            pre-activation after the ReLU); with --gradient the `gradient` of −objective at the latent; with --eps \
            the U-Net's output `eps` [B, 4, H, W]. A folder that holds only unet/ is enough with --context.
            """)

    @OptionGroup var model: ModelOptions

    @Option(help: "Layer, as `lvo layers` names it. May be left out with --eps.")
    var layer: String?

    @Option(help: "Time step, 0…999; fractions are allowed.")
    var timestep: Float

    @Option(help: ArgumentHelp("Safetensors file with `latent` [B, 4, H, W].", valueName: "file"))
    var latent: String?

    @Option(parsing: .upToNextOption, help: "Seeds of noise latents, one per sample, drawn as PyTorch does.")
    var seed: [UInt64] = []

    @Option(help: "Channel of the layer whose mean is the objective.")
    var channel: Int?

    @Option(help: "Feature of the autoencoder given with --sae whose mean is the objective.")
    var feature: Int?

    @OptionGroup var autoencoder: SAEOptions

    @Flag(help: "Write the gradient of −objective at the latent.")
    var gradient = false

    @Flag(help: "Run the whole U-Net and write its output.")
    var eps = false

    @OptionGroup var prompt: PromptOptions
    @OptionGroup var size: SizeOptions
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
        if (feature != nil) != (autoencoder.sae != nil) { throw ValidationError("--feature and --sae go together") }
        guard (0...999).contains(timestep) else { throw ValidationError("--timestep \(timestep): expected 0…999") }
    }

    func run() throws {
        try OutputCheck.file(output, overwrite: overwrite)
        let folder = try model.folder()
        let hook = try layer.map { try folder.unetConfig.hookPoint($0) }
        let engine = try runtime.engine()
        let objective = try objective(hook, engine)
        let latents = try latents(folder)
        let plan = try plan(folder, hook, latents)
        let context = try prompt.context(folder, engine: engine)
        guard [1, latents.shape[0]].contains(context.shape[0]) else {
            throw SimpleFailure(
                .badData,
                "context for \(context.shape[0]) samples with \(latents.shape[0]) latents; expected 1 or as many")
        }
        plan?.enforce(on: engine)
        let unet = try folder.loadUNet(upTo: eps ? nil : hook, engine: engine)
        let tensors = results(unet, hook, objective, plan, latents, context)
        if memory.memory != nil {
            let measured = engine.workspace.statistics
            note(
                "activations took \(formatBytes(measured.peakBytesInUse)), from the system "
                    + formatBytes(measured.bytesReserved))
        }
        try SafetensorsWriter.write(tensors, metadata: metadata(hook), to: output, overwrite: overwrite)
        print(output)
    }

    private func objective(_ hook: HookPoint?, _ engine: Engine) throws -> ProbeObjective? {
        guard let hook else { return nil }
        if let channel {
            guard (0..<hook.channels).contains(channel) else {
                throw SimpleFailure(.usage, "--channel \(channel): \(hook.name) has channels 0…\(hook.channels - 1)")
            }
            return .channel(channel)
        }
        guard let feature, let folder = autoencoder.sae else { return nil }
        let sae = try SAEOptions.load(folder, for: hook)
        guard (0..<sae.numLatents).contains(feature) else {
            throw SimpleFailure(.usage, "--feature \(feature): \(folder) has features 0…\(sae.numLatents - 1)")
        }
        return .feature(feature, sae, engine)
    }

    /// What to keep for the gradient; nil without one. Fails before anything is loaded if the budget cannot hold it.
    private func plan(_ folder: ModelFolder, _ hook: HookPoint?, _ latents: Tensor) throws -> MemoryPlan? {
        guard let hook, gradient else { return nil }
        let size = LatentSize(batch: latents.shape[0], height: latents.shape[2], width: latents.shape[3])
        let plan = try folder.memoryPlan(to: hook, size, budget: memory.memory?.bytes)
        if memory.memory != nil { note("memory plan\n\(plan)") }
        return plan
    }

    private func latents(_ folder: ModelFolder) throws -> Tensor {
        let channels = folder.unetConfig.layout.inChannels
        if let latent { return try TensorFile.latent(latent, channels: channels) }
        let (height, width) = try size.latentSize(folder)
        let result = Tensor([seed.count, channels, height, width])
        for (index, seed) in seed.enumerated() {
            var generator = TorchGenerator(seed: seed)
            let noise = generator.randn([1, channels, height, width])
            (result.pointer + index * noise.count).update(from: noise.pointer, count: noise.count)
        }
        return result
    }

    private typealias Named = (name: String, tensor: Tensor)

    private func results(
        _ unet: UNet, _ hook: HookPoint?, _ objective: ProbeObjective?, _ plan: MemoryPlan?, _ latents: Tensor,
        _ context: Tensor
    ) -> [Named] {
        let (time, text) = (unet.prepare(timestep: timestep), unet.prepare(context: context))
        var tensors: [Named] = []
        var activation: Tensor?
        if let hook, let plan, let objective {
            let trace = unet.forward(latents, to: hook, time: time, text: text, policies: plan.policies)
            activation = trace.activation
            tensors.append(("gradient", unet.backward(trace, gradient: objective.cotangent(trace.activation))))
        } else if let hook, !eps {
            activation = unet.activation(latents, at: hook, time: time, text: text)
        }
        if eps {
            let output = unet.predict(latents, time: time, text: text, observing: hook.map { [$0] } ?? []) {
                activation = activation ?? $1
                return nil
            }
            tensors.append(("eps", output))
        }
        if let activation {
            tensors += [("activations", activation), ("mean", positionMean(activation))]
            if let objective { tensors.append(("objective", Tensor([1], [objective.value(activation)]))) }
        }
        return tensors
    }

    /// `[B, N, D] → [B, D]`, summed in double precision.
    private func positionMean(_ activation: Tensor) -> Tensor {
        let (batch, positions, channels) = (activation.shape[0], activation.shape[1], activation.channels)
        let mean = Tensor([batch, channels])
        for sample in 0..<batch {
            var sums = [Double](repeating: 0, count: channels)
            for position in 0..<positions {
                let row = activation.pointer + (sample * positions + position) * channels
                for c in 0..<channels { sums[c] += Double(row[c]) }
            }
            for c in 0..<channels { mean.pointer[sample * channels + c] = Float(sums[c] / Double(positions)) }
        }
        return mean
    }

    private func metadata(_ hook: HookPoint?) -> [String: String] {
        var settings = ["timestep": "\(timestep)", "version": Lvo.version]
        settings["layer"] = hook?.name
        settings["channel"] = channel.map(String.init)
        settings["feature"] = feature.map(String.init)
        return settings
    }
}
