import Ops
import Tensors

/// A sparse autoencoder: rewrites `D` channels of a token as `L` features of which few are active.
///
///     pre = relu((x − b_dec) W_encᵀ + b_enc)      acts = the selected entries of pre
///     x̂   = acts · W_dec + b_dec
///
/// With `inputUnitNorm`, x stands for the normalised token (`UnitNorm`) and x̂ is scaled back.
///
/// A class, because training changes the weights where they lie (a second set would double the memory of the largest
/// ones): whoever holds the same autoencoder sees the change. `copy()` gives weights of one's own.
///
/// Everything but `normalizeDecoder`, `SAETrainer` and `SAEAdam` only reads, and may run from several threads at once.
/// While one of those three works, nobody else may use the same autoencoder.
public final class SparseAutoencoder: Sendable {
    /// Sizes, rule and normalisations.
    public let configuration: SAEConfiguration
    /// `W_enc [L, D]`.
    public let encoderWeight: Tensor
    /// `b_enc [L]`.
    public let encoderBias: Tensor
    /// `W_dec [L, D]`: a row is the direction a feature stands for.
    public let decoderWeight: Tensor
    /// `b_dec [D]`.
    public let decoderBias: Tensor
    /// JumpReLU's threshold of each feature, `[L]`; nil for the other rules.
    public let threshold: Tensor?

    /// Takes the tensors as they are, without a copy.
    ///
    /// - Precondition: the shapes are those above, and there is a threshold if and only if the rule is `.jumpReLU`.
    public init(
        configuration: SAEConfiguration, encoderWeight: Tensor, encoderBias: Tensor, decoderWeight: Tensor,
        decoderBias: Tensor, threshold: Tensor? = nil
    ) {
        let (d, l) = (configuration.inputWidth, configuration.numLatents)
        precondition(
            encoderWeight.shape == [l, d] && decoderWeight.shape == [l, d] && encoderBias.shape == [l]
                && decoderBias.shape == [d] && threshold?.shape == (configuration.rule == .jumpReLU ? [l] : nil),
            "SAE of \(l) features of \(d) got \(encoderWeight.shape), \(encoderBias.shape), \(decoderWeight.shape)")
        self.configuration = configuration
        self.encoderWeight = encoderWeight
        self.encoderBias = encoderBias
        self.decoderWeight = decoderWeight
        self.decoderBias = decoderBias
        self.threshold = threshold
    }

    convenience init(zeros configuration: SAEConfiguration) {
        let (d, l) = (configuration.inputWidth, configuration.numLatents)
        self.init(
            configuration: configuration, encoderWeight: Tensor.zeros([l, d]), encoderBias: Tensor.zeros([l]),
            decoderWeight: Tensor.zeros([l, d]), decoderBias: Tensor.zeros([d]),
            threshold: configuration.rule == .jumpReLU ? Tensor.zeros([l]) : nil)
    }

    /// Channels of the layer, `D`.
    public var inputWidth: Int { configuration.inputWidth }
    /// Features, `L`.
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
