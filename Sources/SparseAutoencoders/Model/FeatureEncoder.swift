import Ops
import Tensors

/// Every feature's pre-activation, with the encoder packed once for many calls.
public struct FeatureEncoder: Sendable {
    /// Whose encoder it is.
    public let autoencoder: SparseAutoencoder
    private let encoder: Linear
    private let engine: Engine

    /// Packs the encoder; later changes of its weights are not seen.
    public init(_ autoencoder: SparseAutoencoder, engine: Engine) {
        self.autoencoder = autoencoder
        self.engine = engine
        encoder = Linear(
            weight: Weight(name: "encoder.weight", tensor: autoencoder.encoderWeight),
            bias: Weight(name: "encoder.bias", tensor: autoencoder.encoderBias), engine: engine.inFloat32)
    }

    /// `relu((x − b_dec) W_encᵀ + b_enc)` of `x [… , D]`, before any selection: `[… , L]`.
    public func preActivations(_ x: Tensor) -> Tensor {
        let result = encoder.forward(autoencoder.centered(x, engine: engine))
        engine.threads.forRanges(result.count, grain: 65536) { range, _ in
            for i in range { result.pointer[i] = max(result.pointer[i], 0) }
        }
        return result
    }
}
