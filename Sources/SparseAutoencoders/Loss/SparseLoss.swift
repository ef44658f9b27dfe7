import Ops
import Tensors

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
    /// What is evaluated; only read.
    public let autoencoder: SparseAutoencoder
    /// Weights of the terms.
    public let options: LossOptions
    /// Kernels, threads and memory.
    public let engine: Engine
    private let passes: PassTimes?

    /// `passes` hears how long each pass takes, if somebody wants to know.
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
    ///   - dead: which features are dead latents, `[L]`; empty if none.
    ///   - gradients: overwritten with the gradient; nil computes the report alone.
    public func evaluate(
        _ x: Tensor, positions: Int = 1, dead: [Bool] = [], gradients: SAEGradients? = nil
    ) -> LossReport {
        precondition(dead.isEmpty || dead.count == autoencoder.numLatents, "\(dead.count) dead flags")
        let batch = LossBatch(
            autoencoder, options, x, positions: positions, dead: dead, engine: engine, passes: passes)
        let writer = gradients.map { GradientWriter(autoencoder, into: $0, engine: engine) }
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
