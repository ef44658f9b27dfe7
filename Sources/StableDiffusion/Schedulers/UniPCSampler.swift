#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif
import Tensors

/// UniPC (Zhao et al. 2023), multistep, predicting x₀: each call corrects the sample that the call before predicted.
struct UniPCSampler: Sampler {
    /// B(h) of the paper.
    enum Variant: String, CaseIterable {
        case bh1, bh2
    }

    let timesteps: [Float]
    let sigmas: [Float]
    let prediction: PredictionType
    let variant: Variant
    let order: Int
    let lowerOrderFinal: Bool
    /// Calls after which the sample is not corrected.
    let uncorrected: Set<Int>
    /// x₀ of earlier calls, newest first.
    private var originals: [Tensor] = []
    /// Before the last prediction, and of which order that was.
    private var last: (sample: Tensor, order: Int)?

    init(
        table: SigmaTable, prediction: PredictionType, variant: Variant, order: Int, lowerOrderFinal: Bool,
        uncorrected: Set<Int>
    ) {
        timesteps = table.timesteps.map { Float($0) }
        sigmas = table.sigmas
        self.prediction = prediction
        self.variant = variant
        self.order = order
        self.lowerOrderFinal = lowerOrderFinal
        self.uncorrected = uncorrected
    }

    func addNoise(_ sample: Tensor, noise: Tensor, at call: Int) -> Tensor {
        let (signal, share) = sigmas[call].shares
        return weightedSum([(signal, sample), (share, noise)])
    }

    mutating func step(_ output: Tensor, at call: Int, sample: Tensor, noise: () -> Tensor) -> Tensor {
        let original = prediction.original(output, sample, shares: sigmas[call].shares)
        var sample = sample
        if let last, call > 0, !uncorrected.contains(call - 1) {
            sample = moved(last.sample, from: call - 1, order: last.order, corrector: original)
        }
        originals = [original] + originals.prefix(order - 1)
        let possible = lowerOrderFinal ? min(order, timesteps.count - call) : order
        let current = min(possible, originals.count)
        last = (sample, current)
        return moved(sample, from: call, order: current, corrector: nil)
    }

    /// From the level of `call` to the next. `originals` holds x₀ of `call` and before; `corrector` is x₀ at the next.
    private func moved(_ sample: Tensor, from call: Int, order: Int, corrector: Tensor?) -> Tensor {
        let (from, to) = (sigmas[call], sigmas[call + 1])
        let h = Double(log(from)) - Double(log(to))
        // Where the steps before lie, in steps; the next one is 1.
        let ratios = (1..<order).map { (Double(log(from)) - Double(log(sigmas[call - $0]))) / h } + [1]
        let weights = Self.weights(h: h, ratios: ratios, variant, isCorrector: corrector != nil)
        let growth = expm1(-h)
        let bh = variant == .bh1 ? -h : growth
        let signal = Double(to.shares.signal)
        var terms: [(Double, Tensor)] = [(Double(to.shares.noise / from.shares.noise), sample)]
        var own = -signal * growth
        // Differences to x₀ of this call, each divided by its distance.
        let values = originals.dropFirst().prefix(order - 1) + (corrector.map { [$0] } ?? [])
        for (weight, (place, value)) in zip(weights, zip(ratios, values)) {
            let factor = -signal * bh * weight / place
            terms.append((factor, value))
            own -= factor
        }
        terms.append((own, originals[0]))
        return weightedSum(terms.map { (Float($0.0), $0.1) })
    }

    /// The solution ρ of R ρ = b, equation (10) of the paper; simple halves at the lowest orders, as the reference has.
    private static func weights(h: Double, ratios: [Double], _ variant: Variant, isCorrector: Bool) -> [Double] {
        let order = ratios.count
        if isCorrector ? order == 1 : order == 2 { return [0.5] }
        guard isCorrector || order > 1 else { return [] }
        let bh = variant == .bh1 ? -h : expm1(-h)
        var phi = expm1(-h) / -h - 1
        var factorial = 1.0
        var right: [Double] = []
        for i in 1...order {
            right.append(phi * factorial / bh)
            factorial *= Double(i + 1)
            phi = phi / -h - 1 / factorial
        }
        let size = isCorrector ? order : order - 1
        let rows = (0..<size).map { power in ratios.prefix(size).map { pow($0, Double(power)) } }
        return solve(rows, Array(right.prefix(size)))
    }

    /// Gauss's elimination without pivoting: the first row is ones, and the columns' ratios differ.
    private static func solve(_ matrix: [[Double]], _ right: [Double]) -> [Double] {
        var (rows, x) = (matrix, right)
        for i in rows.indices {
            for j in rows.indices where j != i {
                let factor = rows[j][i] / rows[i][i]
                for k in rows.indices { rows[j][k] -= factor * rows[i][k] }
                x[j] -= factor * x[i]
            }
        }
        return rows.indices.map { x[$0] / rows[$0][$0] }
    }
}
