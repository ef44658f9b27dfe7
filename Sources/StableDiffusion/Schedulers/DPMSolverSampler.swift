#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif
import Tensors

/// DPM-Solver++ (Lu et al. 2022), multistep, second order with the midpoint rule; first order at the first call and
/// at the last, which goes to σ = 0.
struct DPMSolverSampler: Sampler {
    let timesteps: [Float]
    let sigmas: [Float]
    let prediction: PredictionType
    /// x₀ as predicted at the call before.
    private var previous: Tensor?

    init(table: SigmaTable, prediction: PredictionType) {
        timesteps = table.timesteps.map { Float($0) }
        sigmas = table.sigmas
        self.prediction = prediction
    }

    /// √ᾱ and √(1−ᾱ) that belong to σ.
    private func shares(_ sigma: Float) -> (signal: Float, noise: Float) {
        let signal = 1 / (sigma * sigma + 1).squareRoot()
        return (signal, sigma * signal)
    }

    func addNoise(_ sample: Tensor, noise: Tensor, at call: Int) -> Tensor {
        let (signal, share) = shares(sigmas[call])
        return weightedSum([(signal, sample), (share, noise)])
    }

    mutating func step(_ output: Tensor, at call: Int, sample: Tensor, noise: () -> Tensor) -> Tensor {
        let original = original(output, sample, sigma: sigmas[call])
        defer { previous = original }
        let (from, to) = (sigmas[call], sigmas[call + 1])
        // λ = ln(√ᾱ / √(1−ᾱ)) = −ln σ, so e^−h is a ratio of σ; all of x₀ counts when σ becomes 0.
        let gain = shares(to).signal * (1 - to / from)
        let kept = shares(to).noise / shares(from).noise
        guard let previous, call < timesteps.count - 1 else {
            return weightedSum([(kept, sample), (gain, original)])
        }
        let ratio = log(sigmas[call - 1] / from) / log(from / to)
        let slope = gain / (2 * ratio)
        return weightedSum([(kept, sample), (gain + slope, original), (-slope, previous)])
    }

    private func original(_ output: Tensor, _ sample: Tensor, sigma: Float) -> Tensor {
        let (signal, noise) = shares(sigma)
        return switch prediction {
        case .epsilon: weightedSum([(1 / signal, sample), (-noise / signal, output)])
        case .vPrediction: weightedSum([(signal, sample), (-noise, output)])
        }
    }
}
