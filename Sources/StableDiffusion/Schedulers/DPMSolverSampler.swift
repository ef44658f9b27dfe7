#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif
import Tensors

/// DPM-Solver++ (Lu et al. 2022), multistep, of first to third order, for the probability flow or with noise.
struct DPMSolverSampler: Sampler {
    /// What the second-order step takes the slope for.
    enum Variant: String, CaseIterable {
        case midpoint, heun
    }

    struct Settings {
        var order = 2
        var variant = Variant.midpoint
        /// The stochastic equation: fresh noise at every call.
        var isStochastic = false
        /// With fewer than 15 steps the last is of first order, the one before of second.
        var lowerOrderFinal = true
        var eulerAtFinal = false
    }

    let timesteps: [Float]
    let sigmas: [Float]
    let prediction: PredictionType
    let settings: Settings
    /// x₀ of earlier calls, newest first.
    private var originals: [Tensor] = []

    init(table: SigmaTable, prediction: PredictionType, settings: Settings) {
        timesteps = table.timesteps.map { Float($0) }
        sigmas = table.sigmas
        self.prediction = prediction
        self.settings = settings
    }

    func addNoise(_ sample: Tensor, noise: Tensor, at call: Int) -> Tensor {
        let (signal, share) = sigmas[call].shares
        return weightedSum([(signal, sample), (share, noise)])
    }

    mutating func step(_ output: Tensor, at call: Int, sample: Tensor, noise: () -> Tensor) -> Tensor {
        let original = prediction.original(output, sample, shares: sigmas[call].shares)
        originals = [original] + originals.prefix(settings.order - 1)
        let (from, to) = (sigmas[call], sigmas[call + 1])
        // λ = ln(√ᾱ / √(1−ᾱ)) = −ln σ, so e^−h is a ratio of σ; all of x₀ counts when σ becomes 0.
        var gain = to.shares.signal * (1 - to / from)
        var kept = to.shares.noise / from.shares.noise
        var terms: [(factor: Float, tensor: Tensor)] = []
        if settings.isStochastic {
            let decay = (to / from) * (to / from)
            gain = to.shares.signal * (1 - decay)
            kept *= to / from
            terms = [(to.shares.noise * (1 - decay).squareRoot(), noise())]
        }
        let order = order(at: call)
        guard order > 1 else { return weightedSum([(kept, sample), (gain, original)] + terms) }
        let ratio = log(sigmas[call - 1] / from) / log(from / to)
        if order == 2 {
            let slope = secondFactor(gain, from: from, to: to) / ratio
            return weightedSum([(kept, sample), (gain + slope, original), (-slope, originals[1])] + terms)
        }
        return weightedSum([(kept, sample)] + thirdOrder(call, gain: gain, ratio: ratio) + terms)
    }

    /// The first calls have too little history; a step to σ = 0 allows the first order only.
    private func order(at call: Int) -> Int {
        let (left, isShort) = (timesteps.count - call, timesteps.count < 15)
        let possible = min(settings.order, originals.count)
        if left == 1, settings.eulerAtFinal || sigmas[call + 1] == 0 || settings.lowerOrderFinal && isShort { return 1 }
        return left == 2 && settings.lowerOrderFinal && isShort ? min(possible, 2) : possible
    }

    /// What the first difference of x₀, per h, is multiplied by at second order.
    private func secondFactor(_ gain: Float, from: Float, to: Float) -> Float {
        switch settings.variant {
        case .midpoint: gain / 2
        case .heun: slopeFactor(from: from, to: to)
        }
    }

    /// √ᾱ ((e^−h − 1)/h + 1), with 2h in place of h for the stochastic equation.
    private func slopeFactor(from: Float, to: Float) -> Float {
        let h = log(from / to) * (settings.isStochastic ? 2 : 1)
        return to.shares.signal * ((exp(-h) - 1) / h + 1)
    }

    /// The paper's D₀, D₁, D₂ written out in x₀ of the last three calls.
    private func thirdOrder(_ call: Int, gain: Float, ratio: Float) -> [(factor: Float, tensor: Tensor)] {
        let (from, to) = (sigmas[call], sigmas[call + 1])
        let earlier = log(sigmas[call - 2] / sigmas[call - 1]) / log(from / to)
        let h = log(from / to) * (settings.isStochastic ? 2 : 1)
        let slope = slopeFactor(from: from, to: to)
        // The reference subtracts the half in both forms, though the fraction has another sign in the stochastic one.
        let curve = -to.shares.signal * ((exp(-h) - 1 + h) / (h * h) + (settings.isStochastic ? 0.5 : -0.5))
        let total = ratio + earlier
        // D₁ = d₀ + r₀/(r₀+r₁) (d₀ − d₁), D₂ = (d₀ − d₁)/(r₀+r₁), d the divided differences.
        let first = slope * (1 + ratio / total) + curve / total
        let second = -slope * ratio / total - curve / total
        return [
            (gain + first / ratio, originals[0]), (-first / ratio + second / earlier, originals[1]),
            (-second / earlier, originals[2]),
        ]
    }
}

extension Float {
    /// √ᾱ and √(1−ᾱ) that belong to this σ.
    var shares: (signal: Float, noise: Float) {
        let signal = 1 / (self * self + 1).squareRoot()
        return (signal, self * signal)
    }
}
