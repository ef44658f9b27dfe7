import Tensors

/// What samplers make of the U-Net's output, and what training compares it with.
extension PredictionType {
    /// x₀, where the sample is √ᾱ x₀ + √(1−ᾱ) ε.
    func original(_ output: Tensor, _ sample: Tensor, shares: (signal: Float, noise: Float)) -> Tensor {
        switch self {
        case .epsilon: weightedSum([(1 / shares.signal, sample), (-shares.noise / shares.signal, output)])
        case .vPrediction: weightedSum([(shares.signal, sample), (-shares.noise, output)])
        }
    }

    /// What the U-Net ought to predict for √ᾱ x₀ + √(1−ᾱ) ε.
    package func target(_ original: Tensor, noise: Tensor, shares: (signal: Float, noise: Float)) -> Tensor {
        switch self {
        case .epsilon: noise
        case .vPrediction: weightedSum([(shares.signal, noise), (-shares.noise, original)])
        }
    }

    /// x₀, where the sample is x₀ + σ ε and the U-Net saw it divided by √(σ²+1).
    func original(_ output: Tensor, _ sample: Tensor, sigma: Float) -> Tensor {
        let square = sigma * sigma + 1
        return switch self {
        case .epsilon: weightedSum([(1, sample), (-sigma, output)])
        case .vPrediction: weightedSum([(1 / square, sample), (-sigma / square.squareRoot(), output)])
        }
    }
}

extension Tensor {
    /// A copy between ± `range`; the tensor itself if that is nil.
    func clamped(_ range: Float?) -> Tensor {
        guard let range else { return self }
        let result = Tensor(shape)
        for i in 0..<count { result.pointer[i] = min(max(pointer[i], -range), range) }
        return result
    }
}
