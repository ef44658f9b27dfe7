import Tensors

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Adam (Kingma, Ba 2015), and with a weight decay AdamW (Loshchilov, Hutter 2019), as torch computes them:
///
///     p ← p (1 − lr·λ)
///     m ← m + (1 − β₁)(g − m)        v ← β₂ v + (1 − β₂) g²
///     p ← p − lr/(1 − β₁ᵏ) · m / (√v / √(1 − β₂ᵏ) + ε)        k = 1, 2, …
///
/// Every parameter is on its own: what happens to one does not depend on the others that are updated with it.
public struct Adam: Sendable {
    public let beta1: Double
    public let beta2: Double
    public let epsilon: Double
    /// λ, decoupled from the gradient's moments; torch's AdamW has 0.01.
    public let weightDecay: Double
    /// Updates so far.
    public private(set) var updates = 0
    private var firstMoments: [Float]
    private var secondMoments: [Float]

    /// - Parameter count: number of parameters.
    public init(
        count: Int, beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8, weightDecay: Double = 0
    ) {
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.weightDecay = weightDecay
        firstMoments = [Float](repeating: 0, count: count)
        secondMoments = firstMoments
    }

    /// The running means of gradients and of their squares: with `updates`, all that an optimizer remembers.
    public var moments: (first: [Float], second: [Float]) { (firstMoments, secondMoments) }

    /// Goes on where another optimizer of as many parameters was.
    public mutating func restore(updates: Int, moments: (first: [Float], second: [Float])) {
        precondition(
            moments.first.count == firstMoments.count && moments.second.count == firstMoments.count,
            "Adam of \(firstMoments.count) parameters got moments of \(moments.first.count) and \(moments.second.count)")
        self.updates = updates
        (firstMoments, secondMoments) = moments
    }

    /// Updates `parameters` in place.
    public mutating func update(_ parameters: Tensor, gradient: Tensor, learningRate: Double) {
        let count = firstMoments.count
        precondition(
            parameters.count == count && gradient.count == count,
            "Adam of \(count) parameters got \(parameters.shape) and gradient \(gradient.shape)")
        updates += 1
        let keep = Float(1 - learningRate * weightDecay)
        let size = Float(learningRate / (1 - pow(beta1, Double(updates))))
        let rootCorrection = Float((1 - pow(beta2, Double(updates))).squareRoot())
        let (gain1, decay2, gain2) = (Float(1 - beta1), Float(beta2), Float(1 - beta2))
        let (p, g, floor) = (parameters.pointer, gradient.pointer, Float(epsilon))
        for i in 0..<count {
            let m = firstMoments[i] + gain1 * (g[i] - firstMoments[i])
            let v = decay2 * secondMoments[i] + gain2 * g[i] * g[i]
            (firstMoments[i], secondMoments[i]) = (m, v)
            p[i] = p[i] * keep - size * m / (v.squareRoot() / rootCorrection + floor)
        }
    }
}
