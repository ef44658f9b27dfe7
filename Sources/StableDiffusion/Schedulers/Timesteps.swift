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

    /// Time steps of latent consistency: every k-th of the `original` ones that the model was distilled at.
    static func consistency(steps: Int, original: Int, trainTimesteps: Int) -> [Int] {
        let distilled = Array((1...original).map { $0 * (trainTimesteps / original) - 1 }.reversed())
        let stride = Double(original) / Double(steps)
        return (0..<steps).map { distilled[min(Int(Double($0) * stride), original - 1)] }
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
