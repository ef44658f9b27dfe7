#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// How noise levels are spread between the highest and the lowest.
enum SigmaSpacing {
    /// As the time steps are.
    case timesteps
    /// Karras et al. 2022, equation 5, with ρ = 7.
    case karras
    /// Evenly in ln σ.
    case exponential
}

/// Noise levels σ of a sampler's calls, ending with 0 or the lowest, and the time steps that belong to them.
struct SigmaTable: Sendable {
    private(set) var sigmas: [Float]
    let timesteps: [Double]

    /// σ interpolated linearly at (fractional) time steps.
    init(schedule: NoiseSchedule, timesteps: [Double]) {
        let table = schedule.sigmas.map(Double.init)
        sigmas =
            timesteps.map { t in
                let low = min(Int(t), table.count - 1)
                let high = min(low + 1, table.count - 1)
                return Float(table[low] + (t - Double(low)) * (table[high] - table[low]))
            } + [0]
        self.timesteps = timesteps
    }

    /// Levels between `highest` and `lowest` σ.
    ///
    /// - Parameter round: what is done to the time steps, which the levels need not fall on.
    init(
        _ spacing: SigmaSpacing, schedule: NoiseSchedule, steps: Int, highest: Double, lowest: Double,
        round: (Double) -> Double
    ) {
        let rho = 7.0
        let forth: (Double) -> Double = spacing == .karras ? { pow($0, 1 / rho) } : { log($0) }
        let back: (Double) -> Double = spacing == .karras ? { pow($0, rho) } : { exp($0) }
        let (from, to) = (forth(highest), forth(lowest))
        let levels = (0..<steps).map { i in
            back(from + (steps > 1 ? Double(i) / Double(steps - 1) : 0) * (to - from))
        }
        sigmas = levels.map(Float.init) + [0]
        timesteps = levels.map { round(Self.timestep(of: $0, in: schedule)) }
    }

    /// The same but for the last level.
    func ending(at last: Float) -> SigmaTable {
        var copy = self
        copy.sigmas[sigmas.count - 1] = last
        return copy
    }

    /// The time step at which ln σ, interpolated linearly, has this value.
    static func timestep(of sigma: Double, in schedule: NoiseSchedule) -> Double {
        let table = schedule.sigmas.map { Double(log($0)) }
        let logSigma = log(max(sigma, 1e-10))
        let low = min(max(table.lastIndex { $0 <= logSigma } ?? 0, 0), table.count - 2)
        let weight = (table[low] - logSigma) / (table[low] - table[low + 1])
        return Double(low) + min(max(weight, 0), 1)
    }
}
