#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Adam (Kingma, Ba 2015), and with a weight decay AdamW (Loshchilov, Hutter 2019), as torch computes them. Update k = 1, 2, …
/// of a parameter p with gradient g:
///
///     p ← p (1 − lr·λ)
///     m ← m + (1 − β₁)(g − m)        v ← β₂ v + (1 − β₂) g²
///     p ← p − lr/(1 − β₁ᵏ) · m / (√v / √(1 − β₂ᵏ) + ε)
///
/// The one description of the rule. It is carried out in two places: `Adam` for a few thousand parameters, in plain Swift
/// without threads, and the kernel behind SAEAdam (`SparseKernels.adam`) for hundreds of millions, which clips and projects the
/// gradient in the same pass over memory. Both take their numbers from here.
public struct AdamRule: Sendable, Equatable {
    /// β₁ and β₂: how much of the running means of g and g² is kept.
    public let beta1: Double
    /// β₂: of g².
    public let beta2: Double
    /// ε, on the scale of the gradient.
    public let epsilon: Double
    /// λ, decoupled from the gradient's moments; torch's AdamW has 0.01.
    public let weightDecay: Double

    /// torch's defaults.
    public init(beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8, weightDecay: Double = 0) {
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.weightDecay = weightDecay
    }

    /// What is the same for every parameter of one update: `lr/(1 − β₁ᵏ)` and `√(1 − β₂ᵏ)`.
    ///
    /// - Precondition: `update` (k) is at least 1.
    public func corrections(update: Int, learningRate: Double) -> (size: Double, root: Double) {
        precondition(update > 0, "update \(update)")
        return (
            learningRate / (1 - pow(beta1, Double(update))), (1 - pow(beta2, Double(update))).squareRoot()
        )
    }
}
