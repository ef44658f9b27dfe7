import Files
import Ops
import StableDiffusion
import Tensors

/// A layer of a loaded model under one text: makes runs at any time step, and measures their results.
public struct Dreamer {
    /// Loaded up to `hook` at least.
    public let unet: UNet
    /// The layer.
    public let hook: HookPoint
    /// The text for the U-Net.
    public let text: TextConditioning
    /// How noisy a latent is at a time step.
    public let schedule: NoiseSchedule
    /// Per block, what the forward pass keeps for the backward pass; the rest keeps everything.
    public let policies: [GradientCheckpointing]
    /// What the U-Net's output means, for drawing again.
    public let prediction: PredictionType

    /// - Parameters:
    ///   - unet: loaded up to `hook` at least; whole for settings that draw again.
    ///   - policies: per block, what the forward pass keeps for the backward pass; the rest keeps everything.
    public init(
        unet: UNet, hook: HookPoint, text: TextConditioning, schedule: NoiseSchedule, policies: [GradientCheckpointing] = [],
        prediction: PredictionType = .epsilon
    ) {
        self.prediction = prediction
        self.unet = unet
        self.hook = hook
        self.text = text
        self.schedule = schedule
        self.policies = policies
    }

    /// `torch.randn([1, C, h, w])` from a generator of that seed, as the paper's code starts.
    public static func noise(seed: UInt64, channels: Int = 4, height: Int, width: Int) -> Tensor {
        var generator = TorchGenerator(seed: seed)
        return generator.randn([1, channels, height, width])
    }

    /// The layer at a time step.
    public func layer(at timestep: Int) -> UNetLayer {
        UNetLayer(
            unet: unet, hook: hook, time: unet.prepare(timestep: Float(timestep)), text: text, policies: policies)
    }

    private func view(at timestep: Int) -> DreamView {
        DreamView(layer: layer(at: timestep), shares: schedule.shares(at: timestep))
    }

    /// A run at a time step.
    /// - Parameters:
    ///   - start: `[B, C, h, w]`.
    ///   - objectives: one for all latents, or one each.
    ///   - seeds: one per latent; noise and augmentation follow from them.
    /// - Throws: `SimpleFailure(.usage)` for a time step that the schedule does not have, a channel or
    ///   feature that the layer does not have, or another number of seeds or objectives than latents.
    public func run(
        start: Tensor, objectives: [Objective], timestep: Int, seeds: [UInt64], settings: DreamSettings
    ) throws -> DreamRun {
        try check(start, objectives, timestep)
        try settings.checkRedraws(schedule)
        guard seeds.count == start.shape[0] else {
            throw SimpleFailure(.usage, "\(seeds.count) seeds for \(start.shape[0]) latents")
        }
        let units = objectives.map { unit($0, timestep) }
        let each = units.count == seeds.count ? units : Array(repeating: units[0], count: seeds.count)
        let spread = spread(timestep, settings.timestepSpread)
        return DreamRun(
            start: start, objectives: objectives, layer: layer(at: timestep), shares: schedule.shares(at: timestep),
            settings: settings, draws: settings.draws(seeds: seeds, units: each),
            views: settings.timestepSpread > 0 ? { view(at: spread.drawn($0)) } : nil,
            redraw: settings.redraws > 0
                ? Redrawing(
                    dreamer: self, objectives: objectives, timestep: timestep, seeds: seeds, units: each,
                    settings: settings
                ).redraw
                : nil)
    }

    /// a(z) without augmentation and with the plain ReLU, averaged over draws of the schedule's noise:
    /// comparable between starts, results, seeds, objectives, settings and dataset examples.
    /// - Parameters:
    ///   - latents: `[B, C, h, w]`, clean.
    ///   - objectives: one for all latents, or one each.
    /// - Throws: as `run`.
    public func measure(
        _ latents: Tensor, objectives: [Objective], timestep: Int, noiseDraws: Int = 8
    ) throws -> [Double] {
        try check(latents, objectives, timestep)
        return measured(latents, objectives: objectives, timestep: timestep, noiseDraws: noiseDraws)
    }

    /// `measure` of what was checked before.
    func measured(_ latents: Tensor, objectives: [Objective], timestep: Int, noiseDraws: Int) -> [Double] {
        var sums = [Double](repeating: 0, count: latents.shape[0])
        each(latents, timestep: timestep, noiseDraws: noiseDraws) { activation in
            for index in sums.indices {
                let part = activation.slice(index..<index + 1).reshaped(Array(activation.shape[1...]))
                let objective = objectives[objectives.count == 1 ? 0 : index]
                sums[index] += objective.value(part, rectifier: .relu, engine: unet.engine)
            }
        }
        return sums.map { $0 / Double(noiseDraws) }
    }

    /// The layer's activation `[B, N, D]` of clean latents under each draw of the schedule's noise.
    ///
    /// The draws are functions of time step and draw alone, the same for every latent: whatever is measured
    /// at a time step is measured under the same noise, so that what differs between two numbers is the
    /// latent and not the draw, and channels are ranked among each other under one noise.
    /// - Throws: `SimpleFailure(.usage)` for a time step that the schedule does not have.
    public func observe(
        _ latents: Tensor, timestep: Int, noiseDraws: Int = 8, _ body: (_ activation: Tensor) throws -> Void
    ) throws {
        try schedule.check(timestep: Double(timestep))
        try each(latents, timestep: timestep, noiseDraws: noiseDraws, body)
    }

    private func each(
        _ latents: Tensor, timestep: Int, noiseDraws: Int, _ body: (_ activation: Tensor) throws -> Void
    ) rethrows {
        let (layer, size) = (layer(at: timestep), latents.count / latents.shape[0])
        for draw in 0..<noiseDraws {
            // Counted from the end, where no step of a run is.
            let random = CounterRandom(seed: 0, purpose: .noise, unit: UInt64(timestep), step: .max - UInt64(draw))
            let (noise, one) = (Tensor(latents.shape), random.normals([1] + latents.shape.dropFirst()))
            for index in 0..<latents.shape[0] { (noise.pointer + index * size).update(from: one.pointer, count: size) }
            try body(layer.activation(schedule.addNoise(latents, noise: noise, timestep: timestep)))
        }
    }

    private func check(_ latents: Tensor, _ objectives: [Objective], _ timestep: Int) throws {
        try schedule.check(timestep: Double(timestep))
        guard objectives.count == 1 || objectives.count == latents.shape[0] else {
            throw SimpleFailure(.usage, "\(objectives.count) objectives for \(latents.shape[0]) latents")
        }
        for objective in objectives { try objective.check(width: hook.channels, layer: hook.name) }
    }

    /// FNV-1a of what is sought, where and when.
    func unit(_ objective: Objective, _ timestep: Int) -> UInt64 {
        Text.fnv1a("\(hook.name)|\(objective.name)|\(timestep)".utf8)
    }
}
