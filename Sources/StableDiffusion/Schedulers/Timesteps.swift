#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The time steps that samplers visit, highest first.
enum Timesteps {
    /// Whole time steps, as PNDM and DDIM take them.
    static func whole(_ spacing: TimestepSpacing, steps: Int, offset: Int, trainTimesteps: Int) -> [Int] {
        fractional(spacing, steps: steps, offset: offset, trainTimesteps: trainTimesteps).map {
            Int($0.rounded(.toNearestOrEven))
        }
    }

    /// Time steps as Euler takes them: linspace is not rounded.
    static func fractional(_ spacing: TimestepSpacing, steps: Int, offset: Int, trainTimesteps: Int) -> [Double] {
        switch spacing {
        case .linspace: linspace(to: trainTimesteps - 1, count: steps).reversed()
        case .leading: (0..<steps).reversed().map { Double($0 * (trainTimesteps / steps) + offset) }
        case .trailing: trailing(steps: steps, trainTimesteps: trainTimesteps)
        }
    }

    /// Time steps as DPM-Solver++ takes them: of N + 1 even steps the last is left out.
    static func solver(_ spacing: TimestepSpacing, steps: Int, offset: Int, trainTimesteps: Int) -> [Int] {
        switch spacing {
        case .linspace:
            linspace(to: trainTimesteps - 1, count: steps + 1).reversed().dropLast().map {
                Int($0.rounded(.toNearestOrEven))
            }
        case .leading:
            (1...steps).reversed().map { $0 * (trainTimesteps / (steps + 1)) + offset }
        case .trailing: trailing(steps: steps, trainTimesteps: trainTimesteps).map { Int($0) }
        }
    }

    private static func trailing(steps: Int, trainTimesteps: Int) -> [Double] {
        let ratio = Double(trainTimesteps) / Double(steps)
        return (0..<steps).map { (Double(trainTimesteps) - Double($0) * ratio).rounded(.toNearestOrEven) - 1 }
    }

    /// `numpy.linspace(0, end, count)`.
    private static func linspace(to end: Int, count: Int) -> [Double] {
        guard count > 1 else { return [0] }
        let step = Double(end) / Double(count - 1)
        return (0..<count).map { $0 == count - 1 ? Double(end) : Double($0) * step }
    }
}

/// Noise levels σ of a sampler's calls, ending with 0, and the time steps that belong to them.
struct SigmaTable: Sendable {
    let sigmas: [Float]
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

    /// Karras et al. 2022, equation 5, with ρ = 7 between `highest` and `lowest` σ.
    ///
    /// - Parameter whole: round the time steps, as DPM-Solver++ does and Euler does not.
    init(karras schedule: NoiseSchedule, steps: Int, highest: Double, lowest: Double, whole: Bool) {
        let rho = 7.0
        let (from, to) = (pow(highest, 1 / rho), pow(lowest, 1 / rho))
        let levels = (0..<steps).map { i in
            pow(from + (steps > 1 ? Double(i) / Double(steps - 1) : 0) * (to - from), rho)
        }
        let logSigmas = schedule.sigmas.map { Double(log($0)) }
        sigmas = levels.map(Float.init) + [0]
        timesteps = levels.map { level in
            let timestep = Self.timestep(of: log(level), in: logSigmas)
            return whole ? timestep.rounded(.toNearestOrEven) : timestep
        }
    }

    /// The time step at which ln σ, interpolated linearly, has this value.
    private static func timestep(of logSigma: Double, in table: [Double]) -> Double {
        let low = min(max(table.lastIndex { $0 <= logSigma } ?? 0, 0), table.count - 2)
        let weight = (table[low] - logSigma) / (table[low] - table[low + 1])
        return Double(low) + min(max(weight, 0), 1)
    }
}
