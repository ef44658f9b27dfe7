import Tensors

/// Drawing by the model alone, from noise or from a latent that was made noisy again: DDIM (Song et al. 2020) in even
/// steps from a time step to the end, under one text and without guidance.
///
/// What is noised to a middle time step and drawn from there keeps as much as the model still finds in the noise; the rest
/// is the model's own (SDEdit, Meng et al. 2021).
public struct NaturalDrawing {
    /// Loaded whole.
    public let unet: UNet
    /// The text, usually the empty prompt's.
    public let text: TextConditioning
    /// How noisy a latent is at a time step.
    public let schedule: NoiseSchedule
    /// What the U-Net's output means.
    public let prediction: PredictionType

    /// - Precondition: `unet` is loaded whole.
    public init(unet: UNet, text: TextConditioning, schedule: NoiseSchedule, prediction: PredictionType) {
        (self.unet, self.text, self.schedule, self.prediction) = (unet, text, schedule, prediction)
    }

    /// Clean latents from noisy ones.
    ///
    /// - Parameters:
    ///   - sample: `[B, C, h, w]`, as noisy as the schedule is at `timestep`. The samples do not depend on each other.
    ///   - steps: U-Net calls; at most one per time step.
    ///   - noise: standard normal in the sample's shape, fresh noise (η = 1) after the call of that number; nil: η = 0, no
    ///     fresh noise.
    ///   - check: called after every U-Net call; may throw to stop.
    /// - Precondition: the schedule has the time step; `steps` ≥ 1.
    public func draw(
        _ sample: Tensor, from timestep: Int, steps: Int, noise: ((_ call: Int) -> Tensor)? = nil,
        check: () throws -> Void
    ) rethrows -> Tensor {
        let timesteps = Self.timesteps(from: timestep, steps: steps)
        let sampler = DDIMSampler(
            schedule: schedule, steps: timesteps, previous: timesteps.dropFirst() + [-1], finalAlpha: 1,
            prediction: prediction, clipRange: nil, eta: noise == nil ? 0 : 1)
        var sample = sample
        for (call, timestep) in timesteps.enumerated() {
            let output = unet.predict(sample, time: unet.prepare(timestep: Float(timestep)), text: text)
            sample = sampler.step(output, at: call, sample: sample) { noise?(call) ?? Tensor(sample.shape) }
            try check()
        }
        return sample
    }

    /// The schedule's noise of a time step on clean latents, then drawn from there.
    ///
    /// - Parameter noise: standard normal, in the latents' shape.
    public func redraw(
        _ latents: Tensor, noise: Tensor, from timestep: Int, steps: Int, check: () throws -> Void
    ) rethrows -> Tensor {
        try draw(
            schedule.addNoise(latents, noise: noise, timestep: timestep), from: timestep, steps: steps, check: check)
    }

    /// Even steps from the first time step towards 0, each time step at most once.
    package static func timesteps(from first: Int, steps: Int) -> [Int] {
        let count = min(steps, first + 1)
        return (0..<count).map { first - (first + 1) * $0 / count }
    }
}
