import Ops
import Tensors

/// The similarity among the results of a batch, to be minimized: the mean over pairs of the cosine similarity
/// between their activations' Gram matrices G = AᵀA (Olah et al., Feature Visualization, Distill 2017: what
/// is compared is which channels occur together, not where).
///
///     c_ab = s_ab / √(s_aa s_bb),   s_ab = ⟨G_a, G_b⟩ = ‖A_a A_bᵀ‖²
///     ∂c_ab/∂A_a = 2 (A_a A_bᵀ) A_b / √(s_aa s_bb) − 2 c_ab (A_a A_aᵀ) A_a / s_aa
///
/// The N×N products stand in for the D×D Gram matrices, which are larger.
package enum Diversity {
    /// - Parameter activations: `[B, N, D]`.
    /// - Returns: weight × the mean similarity, and its gradient `[B, N, D]`; 0 for a single latent.
    package static func evaluate(_ activations: Tensor, weight: Double, engine: Engine) -> (value: Double, gradient: Tensor) {
        let batch = activations.shape[0]
        let gradient = Tensor.zeros(activations.shape, in: engine.workspace)
        guard batch > 1 else { return (0, gradient) }
        let parts = (0..<batch).map { activations.slice($0..<$0 + 1) }
        // Linear(A_b) maps A_a to A_a A_bᵀ, and back from C to C A_b.
        let layers = parts.map {
            Linear(weight: Weight(name: "activation", tensor: $0.reshaped(Array($0.shape[1...]))), engine: engine.inFloat32)
        }
        let squares = (0..<batch).map { sumOfSquares(layers[$0].forward(parts[$0])) }
        let pairs = Double(batch * (batch - 1) / 2)
        var total = 0.0
        for a in 0..<batch {
            var ownSimilarity = 0.0
            for b in 0..<batch where b != a {
                let product = layers[b].forward(parts[a])
                let norm = (squares[a] * squares[b]).squareRoot()
                guard norm > 0 else { continue }
                let similarity = sumOfSquares(product) / norm
                ownSimilarity += similarity
                accumulate(layers[b].backwardInput(product), 2 * weight / pairs / norm, gradient, sample: a)
            }
            total += ownSimilarity / 2
            guard squares[a] > 0 else { continue }
            let own = layers[a].backwardInput(layers[a].forward(parts[a]))
            accumulate(own, -2 * weight / pairs * ownSimilarity / squares[a], gradient, sample: a)
        }
        return (weight * total / pairs, gradient)
    }

    private static func sumOfSquares(_ tensor: Tensor) -> Double {
        var sum = 0.0
        for i in 0..<tensor.count { sum += Double(tensor.pointer[i]) * Double(tensor.pointer[i]) }
        return sum
    }

    private static func accumulate(_ term: Tensor, _ factor: Double, _ gradient: Tensor, sample: Int) {
        let target = gradient.pointer + sample * term.count
        for i in 0..<term.count { target[i] += Float(factor) * term.pointer[i] }
    }
}
