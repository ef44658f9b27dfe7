import Tensors

/// Which of guidance's two predictions a sample of the batch is for.
public enum GuidanceHalf: String, Sendable, CaseIterable {
    case unconditional, conditional
}

/// One U-Net call during a generation, as hooks see it.
public struct GenerationPass: Sendable {
    /// Index of the sampler's call, from 0.
    public let call: Int
    /// The time step that the U-Net got.
    public let timestep: Float
    /// What each sample of the batch is.
    public let halves: [GuidanceHalf]
}

/// Looks at one layer's activation in every U-Net call of a generation, and may replace it.
///
/// Any number of hooks run in one pass; those of the same layer in their order, each seeing what the one before left.
public struct GenerationHook {
    /// The layer it looks at.
    public let point: HookPoint
    /// Gets the activation `[B, N, C]`, which must not be written to; what it returns goes on through the network in
    /// its place, nil leaves it as it is.
    public let visit: (_ pass: GenerationPass, _ activation: Tensor) -> Tensor?

    /// See `visit`.
    public init(at point: HookPoint, visit: @escaping (_ pass: GenerationPass, _ activation: Tensor) -> Tensor?) {
        self.point = point
        self.visit = visit
    }

    /// Steering: adds `strength(t) · direction` at every position of every sample, in both halves of guidance.
    ///
    /// - Parameters:
    ///   - direction: `[C]`: a unit vector for a channel, a decoder row for a feature, or any other.
    ///   - strength: by time step; where it is 0 nothing is done.
    public static func adding(
        _ direction: [Float], at point: HookPoint, strength: @escaping (_ timestep: Float) -> Float
    ) -> GenerationHook {
        precondition(direction.count == point.channels, "direction of \(direction.count) at \(point.name)")
        return GenerationHook(at: point) { pass, activation in
            let factor = strength(pass.timestep)
            if factor == 0 { return nil }
            let result = activation.copy()
            for row in 0..<result.rows {
                let values = result.pointer + row * result.channels
                for channel in 0..<result.channels { values[channel] += factor * direction[channel] }
            }
            return result
        }
    }

    /// Steering along one raw channel.
    public static func adding(
        channel: Int, at point: HookPoint, strength: @escaping (_ timestep: Float) -> Float
    ) -> GenerationHook {
        precondition((0..<point.channels).contains(channel), "channel \(channel) of \(point.channels)")
        var direction = [Float](repeating: 0, count: point.channels)
        direction[channel] = 1
        return adding(direction, at: point, strength: strength)
    }
}

/// Keeps a layer's activations over a generation, by time step.
///
/// PNDM visits its second time step twice: the later call overwrites.
public final class ActivationRecorder {
    /// What is kept of an activation.
    public enum Form: String, Sendable, CaseIterable {
        /// Averages over positions, `[C]`.
        case means
        /// Everything, `[N, C]`.
        case maps
    }

    /// The layer that is recorded.
    public let point: HookPoint
    /// Averages or whole maps.
    public let form: Form
    /// Which of guidance's two predictions is recorded.
    public let half: GuidanceHalf
    /// The recorded time steps in the order of their first visit, and what was recorded there.
    public private(set) var timesteps: [Float] = []
    /// By time step, `[C]` or `[N, C]` by `form`; `L` in place of `C` with a transform.
    public private(set) var activations: [Float: Tensor] = [:]
    private let wanted: (Float) -> Bool
    private let transform: (Tensor) -> Tensor

    /// - Parameters:
    ///   - half: of guidance. Without guidance there is only the conditional one.
    ///   - wanted: which time steps.
    ///   - transform: of the activation `[N, C]` into what is recorded, `[N, L]`, such as the features of a sparse
    ///     autoencoder; before averaging.
    public init(
        at point: HookPoint, form: Form = .means, half: GuidanceHalf = .conditional,
        wanted: @escaping (Float) -> Bool = { _ in true }, transform: @escaping (Tensor) -> Tensor = { $0 }
    ) {
        self.point = point
        self.form = form
        self.half = half
        self.wanted = wanted
        self.transform = transform
    }

    /// The hook to generate with. A recorder is for one generation.
    public var hook: GenerationHook {
        GenerationHook(at: point) { [self] pass, activation in
            guard wanted(pass.timestep), let sample = pass.halves.firstIndex(of: half) else { return nil }
            let map = transform(activation.slice(sample..<sample + 1).reshaped(Array(activation.shape.dropFirst())))
            if activations.updateValue(form == .means ? Self.mean(map) : map.copy(), forKey: pass.timestep) == nil {
                timesteps.append(pass.timestep)
            }
            return nil
        }
    }

    /// Everything recorded as one tensor, `[T, C]` or `[T, N, C]`; nil if nothing was.
    public func stacked() -> Tensor? {
        guard let first = timesteps.first.flatMap({ activations[$0] }) else { return nil }
        let result = Tensor([timesteps.count] + first.shape)
        for (index, timestep) in timesteps.enumerated() {
            guard let values = activations[timestep] else { continue }
            (result.pointer + index * first.count).update(from: values.pointer, count: first.count)
        }
        return result
    }

    /// `[N, C] → [C]`
    private static func mean(_ map: Tensor) -> Tensor {
        map.reshaped([1] + map.shape).positionMeans().reshaped([map.channels])
    }
}
