import Tensors

/// Euler steps on the probability flow in σ = √((1−ᾱ)/ᾱ) (Karras et al. 2022, algorithm 2), plain or ancestral.
struct EulerSampler: Sampler {
    let timesteps: [Float]
    let initialNoiseSigma: Float
    let sigmas: [Float]
    let prediction: PredictionType
    /// Goes further down in σ and adds fresh noise after every step, the last (of σ = 0) included.
    let ancestral: Bool

    init(table: SigmaTable, initialNoiseSigma: Float, prediction: PredictionType, ancestral: Bool) {
        timesteps = table.timesteps.map { Float($0) }
        sigmas = table.sigmas
        self.prediction = prediction
        self.ancestral = ancestral
        self.initialNoiseSigma = initialNoiseSigma
    }

    func inputScale(at call: Int) -> Float { 1 / (sigmas[call] * sigmas[call] + 1).squareRoot() }

    func addNoise(_ sample: Tensor, noise: Tensor, at call: Int) -> Tensor {
        weightedSum([(1, sample), (sigmas[call], noise)])
    }

    func step(_ output: Tensor, at call: Int, sample: Tensor, noise: () -> Tensor) -> Tensor {
        let (from, to) = (sigmas[call], sigmas[call + 1])
        guard ancestral else { return move(sample, output, from: from, to: to) }
        let up = (to * to * (from * from - to * to) / (from * from)).squareRoot()
        let down = (to * to - up * up).squareRoot()
        return weightedSum([(1, move(sample, output, from: from, to: down)), (up, noise())])
    }

    /// x + (to − from) · dx/dσ, where dx/dσ = (x − x₀)/σ: ε, or σ/(σ²+1) x + v/√(σ²+1).
    private func move(_ sample: Tensor, _ output: Tensor, from sigma: Float, to target: Float) -> Tensor {
        let step = target - sigma
        let square = sigma * sigma + 1
        return switch prediction {
        case .epsilon: weightedSum([(1, sample), (step, output)])
        case .vPrediction: weightedSum([(1 + step * sigma / square, sample), (step / square.squareRoot(), output)])
        }
    }
}
