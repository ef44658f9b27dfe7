#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif
import Tensors

/// DPM-Solver++ for the stochastic equation (k-diffusion's `sample_dpmpp_sde`): two calls a step, at σ and at the middle
/// in ln σ, each with noise.
///
/// The reference takes its noise from a Brownian path that torchsde makes; here the path is made of the generator's
/// normal draws, one a call, so a seed gives another picture of the same distribution.
struct DPMSolverSDESampler: Sampler {
    let timesteps: [Float]
    let initialNoiseSigma: Float
    let prediction: PredictionType
    /// The steps' levels, the last 0.
    private let sigmas: [Float]
    /// Between the two calls of a step: the sample before it and the noise up to its middle.
    private var first: (sample: Tensor, noise: Tensor)?

    init(table: SigmaTable, middles: [Double], initialNoiseSigma: Float, prediction: PredictionType) {
        timesteps = table.timesteps.indices.flatMap { i in
            [Float(table.timesteps[i])] + (i < middles.count ? [Float(middles[i])] : [])
        }
        sigmas = table.sigmas
        self.initialNoiseSigma = initialNoiseSigma
        self.prediction = prediction
    }

    func call(ofStep step: Int) -> Int { 2 * step }

    /// The middle of a step in ln σ.
    static func middle(_ from: Float, _ to: Float) -> Float { exp((log(from) + log(to)) / 2) }

    func inputScale(at call: Int) -> Float {
        let (from, isMiddle) = (sigmas[call / 2], !call.isMultiple(of: 2))
        let sigma = isMiddle ? Self.middle(from, sigmas[call / 2 + 1]) : from
        return 1 / (sigma * sigma + 1).squareRoot()
    }

    func addNoise(_ sample: Tensor, noise: Tensor, at call: Int) -> Tensor {
        weightedSum([(1, sample), (sigmas[call / 2], noise)])
    }

    mutating func step(_ output: Tensor, at call: Int, sample: Tensor, noise: () -> Tensor) -> Tensor {
        let (from, to) = (sigmas[call / 2], sigmas[call / 2 + 1])
        guard to > 0 else {
            return prediction.original(output, sample, sigma: from)
        }
        let middle = Self.middle(from, to)
        guard let (start, startNoise) = first else {
            let fresh = noise()
            first = (sample, fresh)
            return moved(sample, prediction.original(output, sample, sigma: from), from: from, to: middle, noise: fresh)
        }
        first = nil
        // The path from σ to the end is that to the middle and a new piece.
        let share = (from - middle) / (from - to)
        let whole = weightedSum([(share.squareRoot(), startNoise), ((1 - share).squareRoot(), noise())])
        return moved(start, prediction.original(output, sample, sigma: middle), from: from, to: to, noise: whole)
    }

    private func moved(_ sample: Tensor, _ original: Tensor, from: Float, to: Float, noise: Tensor) -> Tensor {
        let up = min(to, (to * to * (from * from - to * to) / (from * from)).squareRoot())
        let ratio = (to * to - up * up).squareRoot() / from
        return weightedSum([(ratio, sample), (1 - ratio, original), (up, noise)])
    }
}
