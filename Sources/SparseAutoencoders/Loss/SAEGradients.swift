import Ops
import Tensors

/// The gradient of a loss at each parameter, in the parameters' shapes.
public struct SAEGradients: Sendable {
    /// `[L, D]`.
    public let encoderWeight: Tensor
    /// `[L]`.
    public let encoderBias: Tensor
    /// `[L, D]`.
    public let decoderWeight: Tensor
    /// `[D]`.
    public let decoderBias: Tensor
    /// `[L]`; nil unless the rule is JumpReLU.
    public let threshold: Tensor?

    /// Memory for the gradients of `autoencoder`, contents undefined.
    public init(for autoencoder: SparseAutoencoder) {
        encoderWeight = Tensor(autoencoder.encoderWeight.shape)
        encoderBias = Tensor(autoencoder.encoderBias.shape)
        decoderWeight = Tensor(autoencoder.decoderWeight.shape)
        decoderBias = Tensor(autoencoder.decoderBias.shape)
        threshold = autoencoder.threshold.map { Tensor($0.shape) }
    }

    /// In the order of `SparseAutoencoder.parameters`.
    public var tensors: [Tensor] {
        [encoderWeight, encoderBias, decoderWeight, decoderBias] + (threshold.map { [$0] } ?? [])
    }

    /// √Σ g² over all parameters: per feature in single precision, added up in double.
    public func norm(engine: Engine) -> Double {
        let features = encoderWeight.shape[0]
        let (width, dot) = (encoderWeight.shape[1], engine.kernels.sparse.dot)
        let squares = Scratch<Float>(features, engine)
        engine.threads.forRanges(features, grain: 64) { range, _ in
            for feature in range {
                let encoder = encoderWeight.pointer + feature * width
                let decoder = decoderWeight.pointer + feature * width
                let bias = encoderBias.pointer[feature]
                let gate = threshold?.pointer[feature] ?? 0
                squares.pointer[feature] =
                    dot(encoder, encoder, width) + dot(decoder, decoder, width) + bias * bias + gate * gate
            }
        }
        let last = dot(decoderBias.pointer, decoderBias.pointer, width)
        return (0..<features).reduce(Double(last)) { $0 + Double(squares.pointer[$1]) }.squareRoot()
    }
}
