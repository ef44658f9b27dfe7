import Tensors

/// Latent consistency models (Luo et al. 2023): x₀ at every call, then noise anew.
struct LCMSampler: Sampler {
    let timesteps: [Float]
    let schedule: NoiseSchedule
    let prediction: PredictionType
    /// x₀ is clamped to ± this; nil: not at all.
    let clipRange: Float?
    /// What time steps are multiplied by in the boundary condition.
    let timestepScaling: Float

    func addNoise(_ sample: Tensor, noise: Tensor, at call: Int) -> Tensor {
        schedule.addNoise(sample, noise: noise, timestep: Int(timesteps[call]))
    }

    func step(_ output: Tensor, at call: Int, sample: Tensor, noise: () -> Tensor) -> Tensor {
        let timestep = Int(timesteps[call])
        let original = prediction.original(output, sample, shares: schedule.shares(at: timestep)).clamped(clipRange)
        // Boundary condition: at time 0 the sample itself, σ_data = 0.5.
        let scaled = timesteps[call] * timestepScaling
        let denominator = scaled * scaled + 0.25
        let denoised = weightedSum([(scaled / denominator.squareRoot(), original), (0.25 / denominator, sample)])
        guard call < timesteps.count - 1 else { return denoised }
        let (signal, share) = schedule.shares(at: Int(timesteps[call + 1]))
        return weightedSum([(signal, denoised), (share, noise())])
    }
}
