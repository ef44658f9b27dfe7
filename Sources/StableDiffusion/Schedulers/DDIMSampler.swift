import Tensors

/// Denoising diffusion implicit models (Song et al. 2020).
struct DDIMSampler: Sampler {
    let timesteps: [Float]
    /// The time step that each call leads to; below 0: the end.
    let previous: [Int]
    let schedule: NoiseSchedule
    let prediction: PredictionType
    let finalAlpha: Float
    /// x₀ is clamped to ± this; nil: not at all.
    let clipRange: Float?
    /// The share of fresh noise: 0 takes none, 1 as much as denoising diffusion probabilistic models do.
    let eta: Float

    /// - Parameter previous: nil: as many time steps before each as evenly spaced steps lie apart, as in diffusers.
    init(
        schedule: NoiseSchedule, steps: [Int], previous: [Int]? = nil, finalAlpha: Float, prediction: PredictionType,
        clipRange: Float?, eta: Float = 0
    ) {
        self.previous = previous ?? steps.map { $0 - schedule.trainTimesteps / steps.count }
        self.schedule = schedule
        self.prediction = prediction
        self.finalAlpha = finalAlpha
        self.clipRange = clipRange
        self.eta = eta
        timesteps = steps.map { Float($0) }
    }

    func addNoise(_ sample: Tensor, noise: Tensor, at call: Int) -> Tensor {
        schedule.addNoise(sample, noise: noise, timestep: Int(timesteps[call]))
    }

    /// √ᾱ_p x₀ + √(1−ᾱ_p−σ²) ε + σ · noise, σ² = η² (1−ᾱ_p)/(1−ᾱ_t) · (1−ᾱ_t/ᾱ_p).
    /// The clamp changes x₀ alone; ε stays what the model said.
    func step(_ output: Tensor, at call: Int, sample: Tensor, noise: () -> Tensor) -> Tensor {
        let timestep = Int(timesteps[call])
        let (signal, share) = schedule.shares(at: timestep)
        let original: Tensor
        let epsilon: Tensor
        switch prediction {
        case .epsilon:
            original = weightedSum([(1 / signal, sample), (-share / signal, output)])
            epsilon = output
        case .vPrediction:
            original = weightedSum([(signal, sample), (-share, output)])
            epsilon = weightedSum([(signal, output), (share, sample)])
        }
        if let range = clipRange {
            for i in 0..<original.count { original.pointer[i] = min(max(original.pointer[i], -range), range) }
        }
        let alpha = previous[call] >= 0 ? schedule.alphasCumprod[previous[call]] : finalAlpha
        guard eta > 0, alpha < 1 else {
            return weightedSum([(alpha.squareRoot(), original), ((1 - alpha).squareRoot(), epsilon)])
        }
        let ratio = (1 - alpha) / (share * share) * (1 - signal * signal / alpha)
        let sigma = eta * max(0, ratio).squareRoot()
        let rest = max(0, 1 - alpha - sigma * sigma).squareRoot()
        return weightedSum([(alpha.squareRoot(), original), (rest, epsilon), (sigma, noise())])
    }
}
