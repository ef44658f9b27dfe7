import Ops
import StableDiffusion
import Tensors

/// A layer of a loaded model under one text: makes runs at any time step, and measures what came of them.
public struct Dreamer {
    public let unet: UNet
    public let hook: HookPoint
    public let text: TextConditioning
    public let schedule: NoiseSchedule
    public let policies: [StagePolicy]

    /// - Parameters:
    ///   - unet: loaded up to `hook` at least.
    ///   - policies: per stage, what the forward pass keeps for the backward pass; the rest keeps everything.
    public init(
        unet: UNet, hook: HookPoint, text: TextConditioning, schedule: NoiseSchedule, policies: [StagePolicy] = []
    ) {
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

    public func layer(at timestep: Int) -> UNetLayer {
        UNetLayer(
            unet: unet, hook: hook, time: unet.prepare(timestep: Float(timestep)), text: text, policies: policies)
    }

    /// A run at a time step.
    /// - Parameters:
    ///   - start: `[B, C, h, w]`.
    ///   - objectives: one for all latents, or one each.
    ///   - seeds: one per latent; noise and augmentation follow from them.
    public func run(
        start: Tensor, objectives: [Objective], timestep: Int, seeds: [UInt64], settings: DreamSettings
    ) -> DreamRun {
        let units = objectives.map { unit($0, timestep) }
        let each = units.count == seeds.count ? units : Array(repeating: units[0], count: seeds.count)
        return DreamRun(
            start: start, objectives: objectives, layer: layer(at: timestep), shares: schedule.shares(at: timestep),
            settings: settings, draws: settings.draws(seeds: seeds, units: each))
    }

    /// a(z) without augmentation and with the plain ReLU, averaged over draws of the schedule's noise: comparable
    /// between starts, results, settings and dataset examples.
    /// - Parameters:
    ///   - latents: `[B, C, h, w]`, clean.
    ///   - objectives: one for all latents, or one each.
    public func measure(
        _ latents: Tensor, objectives: [Objective], timestep: Int, seeds: [UInt64], noiseDraws: Int = 8
    ) -> [Double] {
        let (layer, batch) = (layer(at: timestep), latents.shape[0])
        let size = latents.count / batch
        var sums = [Double](repeating: 0, count: batch)
        for draw in 0..<noiseDraws {
            let noise = Tensor(latents.shape)
            for (index, seed) in seeds.enumerated() {
                let unit = unit(objectives[objectives.count == 1 ? 0 : index], timestep)
                // Counted from the end, where no step of a run is.
                CounterRandom(seed: seed, purpose: .noise, unit: unit, step: .max - UInt64(draw))
                    .fillNormal(noise.pointer + index * size, count: size)
            }
            let activation = layer.activation(schedule.addNoise(latents, noise: noise, timestep: timestep))
            for index in 0..<batch {
                let part = activation.slice(index..<index + 1).reshaped(Array(activation.shape[1...]))
                let objective = objectives[objectives.count == 1 ? 0 : index]
                sums[index] += objective.value(part, rectifier: .relu, engine: layer.engine)
            }
        }
        return sums.map { $0 / Double(noiseDraws) }
    }

    /// FNV-1a of what is sought, where and when.
    func unit(_ objective: Objective, _ timestep: Int) -> UInt64 {
        "\(hook.name)|\(objective.name)|\(timestep)".utf8.reduce(0xcbf2_9ce4_8422_2325) {
            ($0 ^ UInt64($1)) &* 0x100_0000_01b3
        }
    }
}
