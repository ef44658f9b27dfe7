import KernelInterface
import Ops
import Optimizers
import Tensors

/// Adam (`AdamRule`, ε 6.25e-10) for a sparse autoencoder, with what the published trainer does around it: the
/// gradient's global norm is clipped, then each decoder row's gradient loses its component along the row, which
/// normalisation would undo. All in one pass over parameters, gradients and moments (28 bytes a parameter): bound by
/// memory. Rows without a gradient are updated too, since their moments go on.
public final class SAEAdam: Sendable {
    /// The published trainer's.
    public static let rule = AdamRule(epsilon: 6.25e-10)

    /// Running means of the gradients and of their squares, in the order of `SparseAutoencoder.parameters`.
    public let means: [Tensor]
    /// Second moments, in the same order.
    public let squares: [Tensor]
    private let engine: Engine

    /// Moments of 0 for every parameter of `autoencoder`.
    public init(for autoencoder: SparseAutoencoder, engine: Engine) {
        self.engine = engine
        means = autoencoder.parameters.map { Tensor.zeros($0.tensor.shape) }
        squares = autoencoder.parameters.map { Tensor.zeros($0.tensor.shape) }
    }

    /// One update.
    ///
    /// - Parameters:
    ///   - norm: the gradients' norm (`SAEGradients.norm`).
    ///   - step: 1 for the first update.
    ///   - maxNorm: bound on the gradient's norm: factor min(1, maxNorm / (norm + 1e-6)).
    ///   - gradientScale: the loss that is optimized is this times the one whose gradient is given.
    public func update(
        _ autoencoder: SparseAutoencoder, _ gradients: SAEGradients, norm: Double, step: Int, learningRate: Double,
        maxNorm: Double = 1, gradientScale: Double = 1
    ) {
        let factor = Float(gradientScale * min(1, maxNorm / (norm * gradientScale + 1e-6)))
        let (size, root) = Self.rule.corrections(update: step, learningRate: learningRate)
        let numbers = AdamStep(
            beta1: Float(Self.rule.beta1), beta2: Float(Self.rule.beta2), epsilon: Float(Self.rule.epsilon),
            size: Float(size), rootScale: Float(1 / root))
        let (parameters, slopes) = (autoencoder.parameters, gradients.tensors)
        let projects = autoencoder.configuration.normalizeDecoder
        for (index, parameter) in parameters.enumerated() {
            let removesParallel = projects && parameter.name == "W_dec"
            update(
                parameter.tensor, slopes[index], means[index], squares[index], numbers, factor, removesParallel)
        }
        if let threshold = autoencoder.threshold {
            for feature in 0..<threshold.count { threshold.pointer[feature] = max(0, threshold.pointer[feature]) }
        }
    }

    private func update(
        _ weights: Tensor, _ gradient: Tensor, _ mean: Tensor, _ square: Tensor, _ step: AdamStep, _ factor: Float,
        _ removesParallel: Bool
    ) {
        let (width, kernels) = (weights.channels, engine.kernels.sparse)
        engine.threads.forRanges(weights.rows, grain: 16) { rows, _ in
            for row in rows {
                let (w, g) = (weights.pointer + row * width, gradient.pointer + row * width)
                let parallel = removesParallel ? factor * kernels.dot(w, g, width) : 0
                kernels.adam(
                    w, g, mean.pointer + row * width, square.pointer + row * width, width, step, factor, parallel)
            }
        }
    }
}
