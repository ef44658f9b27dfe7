import Ops
import Tensors

/// A sparse autoencoder: rewrites `D` channels of a token as `L` features of which few are active.
///
///     pre = relu((x − b_dec) W_encᵀ + b_enc)      acts = the selected entries of pre
///     x̂   = acts · W_dec + b_dec
///
/// With `inputUnitNorm`, x stands for the normalised token (`UnitNorm`) and x̂ is scaled back.
public struct SparseAutoencoder: Sendable {
    public let configuration: SAEConfiguration
    /// `W_enc [L, D]`.
    public let encoderWeight: Tensor
    /// `b_enc [L]`.
    public let encoderBias: Tensor
    /// `W_dec [L, D]`: a row is the direction a feature stands for.
    public let decoderWeight: Tensor
    /// `b_dec [D]`.
    public let decoderBias: Tensor
    /// JumpReLU's threshold of each feature, `[L]`.
    public let threshold: Tensor?

    public init(
        configuration: SAEConfiguration, encoderWeight: Tensor, encoderBias: Tensor, decoderWeight: Tensor,
        decoderBias: Tensor, threshold: Tensor? = nil
    ) {
        let (d, l) = (configuration.inputWidth, configuration.numLatents)
        precondition(
            encoderWeight.shape == [l, d] && decoderWeight.shape == [l, d] && encoderBias.shape == [l]
                && decoderBias.shape == [d] && (threshold != nil) == (configuration.rule == .jumpReLU),
            "SAE of \(l) features of \(d) got \(encoderWeight.shape), \(encoderBias.shape), \(decoderWeight.shape)")
        self.configuration = configuration
        self.encoderWeight = encoderWeight
        self.encoderBias = encoderBias
        self.decoderWeight = decoderWeight
        self.decoderBias = decoderBias
        self.threshold = threshold
    }

    public var inputWidth: Int { configuration.inputWidth }
    public var numLatents: Int { configuration.numLatents }

    /// A copy with weights of its own.
    public func copy() -> SparseAutoencoder {
        SparseAutoencoder(
            configuration: configuration, encoderWeight: encoderWeight.copy(), encoderBias: encoderBias.copy(),
            decoderWeight: decoderWeight.copy(), decoderBias: decoderBias.copy(), threshold: threshold?.copy())
    }

    /// The parameters by their names in `sae.safetensors`, always in this order.
    public var parameters: [(name: String, tensor: Tensor)] {
        [
            ("encoder.weight", encoderWeight), ("encoder.bias", encoderBias), ("W_dec", decoderWeight),
            ("b_dec", decoderBias),
        ] + (threshold.map { [("threshold", $0)] } ?? [])
    }

    /// What the encoder sees of `x [… , D]`: minus the decoder's bias, after normalisation if the configuration
    /// says so.
    func centered(_ x: Tensor, engine: Engine) -> Tensor {
        precondition(x.channels == inputWidth, "SAE of \(inputWidth) channels got \(x.shape)")
        let result = configuration.inputUnitNorm ? UnitNorm.forward(x, engine: engine) : x.copy(in: engine.workspace)
        let (width, kernels) = (inputWidth, engine.kernels.sparse)
        engine.threads.forRanges(x.rows, grain: 64) { rows, _ in
            for row in rows {
                let target = result.pointer + row * width
                _ = kernels.combine(target, 1, decoderBias.pointer, -1, width, target)
            }
        }
        return result
    }
}

/// One feature as a function of the input and back: all that an objective on a feature needs.
extension SparseAutoencoder {
    /// `W_enc[j]·(x − b_dec) + b_enc[j]` for every row of `x [… , D]`, before the ReLU.
    public func preActivation(of feature: Int, _ x: Tensor, engine: Engine) -> [Float] {
        precondition((0..<numLatents).contains(feature), "feature \(feature) of \(numLatents)")
        let centered = centered(x, engine: engine)
        let row = encoderWeight.pointer + feature * inputWidth
        let bias = encoderBias.pointer[feature]
        return (0..<x.rows).map {
            engine.kernels.sparse.dot(centered.pointer + $0 * inputWidth, row, inputWidth) + bias
        }
    }

    /// The gradient at `x` of `Σ_r dPre[r] · preActivation(of: feature, x)[r]`, in x's shape.
    public func backwardInput(of feature: Int, _ dPre: [Float], x: Tensor, engine: Engine) -> Tensor {
        precondition(dPre.count == x.rows && x.channels == inputWidth, "\(dPre.count) gradients for \(x.shape)")
        let gradient = Tensor(x.shape, in: engine.workspace)
        let row = encoderWeight.pointer + feature * inputWidth
        for (index, slope) in dPre.enumerated() {
            _ = engine.kernels.sparse.combine(row, slope, row, 0, inputWidth, gradient.pointer + index * inputWidth)
        }
        return configuration.inputUnitNorm ? UnitNorm.backwardInput(gradient, x: x, engine: engine) : gradient
    }
}
