import Ops
import Tensors

/// The loss of a batch of latents at one draw of noise and augmentation, and its gradient.
public struct LossGradient: Sendable {
    /// a(z_seen), per latent.
    public let activations: [Double]
    /// Whether the objective's gradient was 0 at every position, per latent.
    public let isFlat: [Bool]
    /// Per group of latents.
    public let penalties: [PenaltyValues]
    /// The weighted similarity of the batch's results.
    public let diversity: Double
    /// Per group: −(mean or sum of its activations) + penalties.
    public let losses: [Double]
    /// `[B, 4, H, W]`: before filter and smoothing.
    public let gradient: Tensor

    /// The mean over draws of noise and augmentation; penalties do not depend on them. Flat where every draw
    /// was.
    static func mean(_ draws: [LossGradient]) -> LossGradient {
        if draws.count == 1 { return draws[0] }
        let share = 1 / Double(draws.count)
        func mean(_ values: (LossGradient) -> [Double]) -> [Double] {
            values(draws[0]).indices.map { index in draws.reduce(0) { $0 + values($1)[index] } * share }
        }
        let gradient = Tensor.zeros(draws[0].gradient.shape)
        for draw in draws {
            for i in 0..<gradient.count { gradient.pointer[i] += Float(share) * draw.gradient.pointer[i] }
        }
        return LossGradient(
            activations: mean(\.activations),
            isFlat: draws[0].isFlat.indices.map { index in draws.allSatisfy { $0.isFlat[index] } },
            penalties: draws[0].penalties, diversity: mean { [$0.diversity] }[0], losses: mean(\.losses),
            gradient: gradient)
    }
}

/// The function that is minimized: latents → augmentation → noise → layer → objectives, plus penalties.
struct DreamLoss {
    let layer: any DreamLayer
    /// One per latent.
    let objectives: [Objective]
    let settings: DreamSettings
    /// √ᾱ_t and √(1 − ᾱ_t).
    let shares: (signal: Float, noise: Float)

    /// The same at another time step.
    func seen(by view: DreamView) -> DreamLoss {
        DreamLoss(layer: view.layer, objectives: objectives, settings: settings, shares: view.shares)
    }

    func evaluate(_ latent: Tensor, draws: StepDraws) -> LossGradient {
        let coupling = settings.coupling
        let augmented = coupling.map(latent) { draws.augmentations[$0].apply($1) }
        let (activation, vjp) = layer.forward(mixed(augmented, draws.noise))
        let upper = objectiveGradient(activation)
        let seen = vjp(upper.gradient)
        let signal: Float = draws.noise == nil ? 1 : shares.signal
        var penalties: [PenaltyValues] = []
        let gradient = coupling.map(seen) { group, part in
            let own = settings.penalties.evaluate(coupling.groups(latent)[group])
            penalties.append(own.values)
            let total = draws.augmentations[group].backwardInput(part)
            for i in 0..<total.count { own.gradient.pointer[i] += signal * total.pointer[i] }
            return own.gradient
        }
        let gain = Double(weight)
        let losses = penalties.enumerated().map { group, values in
            let members = upper.activations.indices.filter { coupling.group(of: $0) == group }
            return -gain * members.reduce(0) { $0 + upper.activations[$1] } + values.sum + upper.diversity
        }
        return LossGradient(
            activations: upper.activations, isFlat: upper.isFlat, penalties: penalties, diversity: upper.diversity,
            losses: losses, gradient: gradient)
    }

    /// 1/B for the batch's mean, 1 for the sum.
    private var weight: Float { settings.coupling == .coupled ? 1 / Float(objectives.count) : 1 }

    /// √ᾱ_t z + √(1 − ᾱ_t) ε, or z itself.
    private func mixed(_ latent: Tensor, _ noise: Tensor?) -> Tensor {
        guard let noise else { return latent }
        precondition(noise.shape == latent.shape, "noise \(noise.shape) for latents \(latent.shape)")
        let result = Tensor(latent.shape)
        for i in 0..<result.count {
            result.pointer[i] = shares.signal * latent.pointer[i] + shares.noise * noise.pointer[i]
        }
        return result
    }

    private func objectiveGradient(
        _ activation: Tensor
    ) -> (activations: [Double], isFlat: [Bool], diversity: Double, gradient: Tensor) {
        var (activations, isFlat): ([Double], [Bool]) = ([], [])
        let gradient = Tensor(activation.shape, in: layer.engine.workspace)
        for (index, objective) in objectives.enumerated() {
            let part = activation.slice(index..<index + 1).reshaped(Array(activation.shape[1...]))
            let own = objective.evaluate(part, rectifier: settings.rectifier, engine: layer.engine)
            activations.append(own.value)
            isFlat.append(own.isFlat)
            let target = gradient.pointer + index * part.count
            for i in 0..<part.count { target[i] = -weight * own.gradient.pointer[i] }
        }
        guard settings.diversity > 0 else { return (activations, isFlat, 0, gradient) }
        let likeness = Diversity.evaluate(activation, weight: settings.diversity, engine: layer.engine)
        for i in 0..<gradient.count { gradient.pointer[i] += likeness.gradient.pointer[i] }
        return (activations, isFlat, likeness.value, gradient)
    }
}
