import Ops
import Tensors

/// Weights of what the loss adds to the reconstruction error.
public struct LossOptions: Sendable, Equatable {
    /// Weight of AuxK, the reconstruction of the error by dead features (Gao et al., arXiv 2406.04093).
    public var auxkAlpha: Float = 1 / 32
    /// ReLU: weight of the mean over tokens of the sum of the activations.
    public var l1Coefficient: Float = 1e-3
    /// JumpReLU: weight of the mean number of active features.
    public var l0Coefficient: Float = 1e-3
    /// JumpReLU: width of the window around the threshold in which it has a gradient, in units of the pre-activations.
    public var bandwidth: Float = 1e-2

    public init() {}
}

/// What one batch tells; shares and losses as in the published code.
public struct LossReport: Sendable {
    /// All terms, weighted.
    public var loss = 0.0
    /// Σ‖x̂ − x‖² / Σ‖x − mean‖².
    public var fvu = 0.0
    /// AuxK before its weight; 0 when nothing is dead.
    public var auxk = 0.0
    /// FVU with 4k features, if the configuration asks for it.
    public var multiTopK = 0.0
    /// Mean FVU of the nested reconstructions, if there are any.
    public var nested = 0.0
    /// L1 or L0 penalty, weighted.
    public var penalty = 0.0
    /// Mean count of positive pre-activations, before selection.
    public var l0 = 0.0
    /// Mean count of selected activations that are not 0.
    public var active = 0.0
    /// Mean squared error of an element.
    public var l2 = 0.0
    /// Mean over tokens of 1 − ‖x̂ − x‖² / ‖x − mean‖².
    public var explainedVariance = 0.0
    public var deadCount = 0
    /// Which features were selected at least once, even at value 0.
    public var fired: [Bool] = []
}

/// The training loss of a sparse autoencoder and its gradient.
///
///     FVU    = Σ(x̂ − x)² / V,  V = Σ(x − mean)²
///     AuxK   = scale · Σ(ê − e)² / V,  e = x̂ − x,  ê = (largest dead activations) · W_dec + b_dec,
///              k_aux = ⌊D/2⌋, scale = min(n_dead/k_aux, 1), then k_aux = min(k_aux, n_dead)
///     loss   = FVU + α · AuxK + FVU(4k) / 8 (Multi-TopK) + penalty (ReLU, JumpReLU)
///
/// With `prefixes` (Matryoshka) the first term is the mean of the FVUs of all nested reconstructions.
/// The gradient of AuxK reaches e as well as ê, as published.
public struct SparseLoss: Sendable {
    public let autoencoder: SparseAutoencoder
    public let options: LossOptions
    public let engine: Engine
    let passes: PassTimes?

    public init(
        _ autoencoder: SparseAutoencoder, options: LossOptions = LossOptions(), engine: Engine,
        passes: PassTimes? = nil
    ) {
        self.autoencoder = autoencoder
        self.options = options
        self.engine = engine
        self.passes = passes
    }

    /// - Parameters:
    ///   - x: tokens `[n, D]`; consecutive runs of `positions` tokens are one sample (SampleTopK).
    ///   - dead: which features count as dead, `[L]`; empty if none.
    ///   - gradients: overwritten with the gradient; nil computes the report alone.
    public func evaluate(
        _ x: Tensor, positions: Int = 1, dead: [Bool] = [], gradients: SAEGradients? = nil
    ) -> LossReport {
        precondition(dead.isEmpty || dead.count == autoencoder.numLatents, "\(dead.count) dead flags")
        let batch = LossBatch(self, x, positions: positions, dead: dead)
        let writer = gradients.map { GradientWriter(self, into: $0) }
        for slice in batch.slices {
            let reconstructions = batch.select(slice)
            let entries = reconstructions.reduce(0.0) { $0 + Double($1.codes.count) * Double(x.channels) }
            passes.measure("decode, errors, slopes", flops: 4 * entries, bytes: 8 * entries) {
                batch.decode(reconstructions, slice, gradient: gradients != nil)
            }
            passes.measure("weight gradients", flops: 4 * entries, bytes: 8 * entries) {
                writer?.add(reconstructions, centered: batch.centered.slice(slice))
            }
        }
        passes.measure("bias gradient", bytes: 4 * Double(autoencoder.encoderWeight.count)) { writer?.finish() }
        return passes.measure("report") { batch.report() }
    }
}
