import Tensors

/// Denoising diffusion probabilistic models (Ho et al. 2020), ancestral sampling at fewer time steps.
struct DDPMSampler: Sampler {
    /// Which variance the noise has that each step adds.
    enum Variance: String, CaseIterable {
        /// That of x_{t−1} given x_t and x₀.
        case fixedSmall = "fixed_small"
        /// The same; its logarithm is on the way.
        case fixedSmallLog = "fixed_small_log"
        /// β of the step.
        case fixedLarge = "fixed_large"
    }

    let timesteps: [Float]
    let schedule: NoiseSchedule
    let prediction: PredictionType
    /// x₀ is clamped to ± this; nil: not at all.
    let clipRange: Float?
    let variance: Variance

    func addNoise(_ sample: Tensor, noise: Tensor, at call: Int) -> Tensor {
        schedule.addNoise(sample, noise: noise, timestep: Int(timesteps[call]))
    }

    /// Formula (7) of the paper. There is noise at the last step too, unless its time is 0.
    func step(_ output: Tensor, at call: Int, sample: Tensor, noise: () -> Tensor) -> Tensor {
        let timestep = Int(timesteps[call])
        let original = prediction.original(output, sample, shares: schedule.shares(at: timestep)).clamped(clipRange)
        let alpha = schedule.alphasCumprod[timestep]
        let alphaPrevious = call < timesteps.count - 1 ? schedule.alphasCumprod[Int(timesteps[call + 1])] : 1
        let stepAlpha = alpha / alphaPrevious
        let (beta, betaPrevious, stepBeta) = (1 - alpha, 1 - alphaPrevious, 1 - stepAlpha)
        let mean: [(Float, Tensor)] = [
            (alphaPrevious.squareRoot() * stepBeta / beta, original),
            (stepAlpha.squareRoot() * betaPrevious / beta, sample),
        ]
        guard timestep > 0 else { return weightedSum(mean) }
        let square = variance == .fixedLarge ? stepBeta : max(betaPrevious / beta * stepBeta, 1e-20)
        return weightedSum(mean + [(square.squareRoot(), noise())])
    }
}
