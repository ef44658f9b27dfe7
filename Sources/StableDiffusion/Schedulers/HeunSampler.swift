import Tensors

/// Heun's method on the probability flow in σ (Karras et al. 2022, algorithm 1 without churn): every step but the last
/// takes two calls, so N steps make 2N − 1.
struct HeunSampler: Sampler {
    let timesteps: [Float]
    let initialNoiseSigma: Float
    let prediction: PredictionType
    let clipRange: Float?
    /// By call; each but the first and the last level comes twice.
    private let sigmas: [Float]
    /// Between the two calls of a step: the sample before it and its slope there.
    private var first: (sample: Tensor, slope: Tensor)?

    init(table: SigmaTable, initialNoiseSigma: Float, prediction: PredictionType, clipRange: Float?) {
        let times = table.timesteps.map { Float($0) }
        timesteps = times.prefix(1) + times.dropFirst().flatMap { [$0, $0] }
        sigmas =
            table.sigmas.prefix(1) + table.sigmas.dropFirst().dropLast().flatMap { [$0, $0] } + table.sigmas.suffix(1)
        self.initialNoiseSigma = initialNoiseSigma
        self.prediction = prediction
        self.clipRange = clipRange
    }

    func call(ofStep step: Int) -> Int { 2 * step }

    func inputScale(at call: Int) -> Float { 1 / (sigmas[call] * sigmas[call] + 1).squareRoot() }

    func addNoise(_ sample: Tensor, noise: Tensor, at call: Int) -> Tensor {
        weightedSum([(1, sample), (sigmas[call], noise)])
    }

    mutating func step(_ output: Tensor, at call: Int, sample: Tensor, noise: () -> Tensor) -> Tensor {
        let sigma = sigmas[call]
        let original = prediction.original(output, sample, sigma: sigma).clamped(clipRange)
        let slope = weightedSum([(1 / sigma, sample), (-1 / sigma, original)])
        guard let (start, startSlope) = first else {
            if sigmas[call + 1] > 0 { first = (sample, slope) }
            return weightedSum([(1, sample), (sigmas[call + 1] - sigma, slope)])
        }
        first = nil
        let half = (sigma - sigmas[call - 1]) / 2
        return weightedSum([(1, start), (half, startSlope), (half, slope)])
    }
}
