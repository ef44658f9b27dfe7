import Tensors

/// Pseudo numerical methods for diffusion models (Liu et al. 2022), linear multistep part only: SD 1.5's own
/// sampler. The second time step comes twice, so N steps make N + 1 calls.
struct PNDMSampler: Sampler {
    let timesteps: [Float]
    let schedule: NoiseSchedule
    let prediction: PredictionType
    let finalAlpha: Float
    private let stride: Int
    /// Outputs of earlier calls, newest last; the repeated call's is not kept.
    private var history: [Tensor] = []
    private var calls = 0
    private var firstSample: Tensor?

    /// - Parameter steps: descending time steps, the second not yet repeated.
    init(schedule: NoiseSchedule, steps: [Int], finalAlpha: Float, prediction: PredictionType) {
        self.schedule = schedule
        self.prediction = prediction
        self.finalAlpha = finalAlpha
        stride = schedule.trainTimesteps / steps.count
        let repeated = steps.count > 1 ? [steps[0], steps[1]] + steps[1...] : steps
        timesteps = repeated.map { Float($0) }
    }

    func addNoise(_ sample: Tensor, noise: Tensor, at call: Int) -> Tensor {
        schedule.addNoise(sample, noise: noise, timestep: Int(timesteps[call]))
    }

    /// The multistep rule goes by how many calls were made, not by which: image to image, which starts in the
    /// middle, also repeats its second call, as diffusers does.
    mutating func step(_ output: Tensor, at call: Int, sample: Tensor, noise: () -> Tensor) -> Tensor {
        defer { calls += 1 }
        let timestep = Int(timesteps[call])
        if calls == 1, let first = firstSample {
            firstSample = nil
            let mean = weightedSum([(0.5, output), (0.5, history[0])])
            return transfer(first, mean, from: timestep + stride, to: timestep)
        }
        if calls == 0 { firstSample = sample }
        history = history.suffix(3) + [output]
        return transfer(sample, multistep(), from: timestep, to: timestep - stride)
    }

    /// Adams–Bashforth weights for one to four outputs.
    private func multistep() -> Tensor {
        let weights: [[Float]] = [
            [1], [3.0 / 2, -1.0 / 2], [23.0 / 12, -16.0 / 12, 5.0 / 12],
            [55.0 / 24, -59.0 / 24, 37.0 / 24, -9.0 / 24],
        ]
        return weightedSum(Array(zip(weights[history.count - 1], history.reversed())))
    }

    /// Formula (9) of the paper.
    private func transfer(_ sample: Tensor, _ output: Tensor, from timestep: Int, to previous: Int) -> Tensor {
        let alpha = schedule.alphasCumprod[timestep]
        let alphaPrevious = previous >= 0 ? schedule.alphasCumprod[previous] : finalAlpha
        let epsilon =
            prediction == .epsilon
            ? output : weightedSum([(alpha.squareRoot(), output), ((1 - alpha).squareRoot(), sample)])
        let denominator =
            alpha * (1 - alphaPrevious).squareRoot() + (alpha * (1 - alpha) * alphaPrevious).squareRoot()
        return weightedSum([
            ((alphaPrevious / alpha).squareRoot(), sample), (-(alphaPrevious - alpha) / denominator, epsilon),
        ])
    }
}
