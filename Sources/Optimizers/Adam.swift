import Tensors

/// The rule (`AdamRule`) over a tensor of a few thousand parameters, such as a latent.
///
/// Every parameter is on its own: what happens to one does not depend on the others that are updated with it.
public struct Adam: Sendable {
    /// β₁, β₂, ε and λ.
    public let rule: AdamRule
    /// Updates so far.
    public private(set) var updates = 0
    private var firstMoments: [Float]
    private var secondMoments: [Float]

    /// - Parameter count: number of parameters.
    public init(
        count: Int, beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8, weightDecay: Double = 0
    ) {
        rule = AdamRule(beta1: beta1, beta2: beta2, epsilon: epsilon, weightDecay: weightDecay)
        firstMoments = [Float](repeating: 0, count: count)
        secondMoments = firstMoments
    }

    /// The running means of gradients and of their squares: with `updates`, all that an optimizer remembers.
    public var moments: (first: [Float], second: [Float]) { (firstMoments, secondMoments) }

    /// Goes on where another optimizer of as many parameters was.
    ///
    /// - Precondition: moments of as many parameters.
    public mutating func restore(updates: Int, moments: (first: [Float], second: [Float])) {
        precondition(
            moments.first.count == firstMoments.count && moments.second.count == firstMoments.count,
            "Adam of \(firstMoments.count) parameters got moments of \(moments.first.count) and \(moments.second.count)")
        self.updates = updates
        (firstMoments, secondMoments) = moments
    }

    /// Updates `parameters` in place.
    ///
    /// - Precondition: as many parameters and gradients as `init` was told, in any shape.
    public mutating func update(_ parameters: Tensor, gradient: Tensor, learningRate: Double) {
        let count = firstMoments.count
        precondition(
            parameters.count == count && gradient.count == count,
            "Adam of \(count) parameters got \(parameters.shape) and gradient \(gradient.shape)")
        updates += 1
        let (size, root) = rule.corrections(update: updates, learningRate: learningRate)
        let (stepSize, rootCorrection) = (Float(size), Float(root))
        let keep = Float(1 - learningRate * rule.weightDecay)
        let (gain1, decay2, gain2) = (Float(1 - rule.beta1), Float(rule.beta2), Float(1 - rule.beta2))
        let (p, g, floor) = (parameters.pointer, gradient.pointer, Float(rule.epsilon))
        for i in 0..<count {
            let m = firstMoments[i] + gain1 * (g[i] - firstMoments[i])
            let v = decay2 * secondMoments[i] + gain2 * g[i] * g[i]
            (firstMoments[i], secondMoments[i]) = (m, v)
            p[i] = p[i] * keep - stepSize * m / (v.squareRoot() / rootCorrection + floor)
        }
    }
}
