import Checkpoints
import Files
import Tensors

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Configuration and weights on the way from a file to an autoencoder: other programs' variants are rewritten here into
/// the one form that `SparseAutoencoder` computes, without a change of the function.
struct SAEWeights {
    var configuration: SAEConfiguration
    var encoderWeight: Tensor
    var encoderBias: Tensor
    var decoderWeight: Tensor
    var decoderBias: Tensor
    var threshold: Tensor?

    /// Factors that are finite in the file may be too large for what is made of them.
    ///
    /// - Throws: `FileFailure.unsupported` naming what is not finite.
    func checkFinite(file: String) throws(FileFailure) {
        let tensors = [("encoder", encoderWeight), ("encoder's bias", encoderBias), ("decoder", decoderWeight)]
        for (name, tensor) in tensors + (threshold.map { [("threshold", $0)] } ?? []) {
            guard tensor.array.contains(where: { !$0.isFinite }) else { continue }
            throw .unsupported(
                file: file, found: "its norms or gates are too large: the \(name) is infinite with them",
                advice: "the file is damaged or its training diverged")
        }
    }

    /// An encoder that does not subtract `b_dec`: `b_enc + W_enc·b_dec` instead of `b_enc`.
    func foldInputBias() {
        let (d, weight) = (configuration.inputWidth, encoderWeight.pointer)
        for feature in 0..<configuration.numLatents {
            var sum = 0.0
            for i in 0..<d { sum += Double(weight[feature * d + i]) * Double(decoderBias.pointer[i]) }
            encoderBias.pointer[feature] += Float(sum)
        }
    }

    /// Decoder rows of norm 1, activations multiplied by what the norms were.
    func foldDecoderNorms() {
        let d = configuration.inputWidth
        for (feature, norm) in decoderNorms.enumerated() where norm > 0 {
            for i in feature * d..<(feature + 1) * d {
                decoderWeight.pointer[i] /= Float(norm)
                encoderWeight.pointer[i] *= Float(norm)
            }
            encoderBias.pointer[feature] *= Float(norm)
            threshold?.pointer[feature] *= Float(norm)
        }
    }

    var decoderNorms: [Double] {
        let d = configuration.inputWidth
        return (0..<configuration.numLatents).map { feature in
            let row = decoderWeight.pointer + feature * d
            return (0..<d).reduce(0.0) { $0 + Double(row[$1]) * Double(row[$1]) }.squareRoot()
        }
    }

    /// Gated (Rajamanoharan et al., arXiv 2404.16014, section 3.2): with `z = W_enc(x − b_dec)` a feature is
    /// `relu(e^r·z + b_mag)` where `z + b_gate > 0`, which is a JumpReLU: encoder rows times `e^r`, bias `b_mag`,
    /// threshold `max(0, b_mag − e^r·b_gate)`.
    mutating func foldGate(scale: Tensor, gateBias: Tensor) {
        let d = configuration.inputWidth
        let threshold = Tensor([configuration.numLatents])
        for feature in 0..<configuration.numLatents {
            let factor = Float(exp(Double(scale.pointer[feature])))
            for i in feature * d..<(feature + 1) * d { encoderWeight.pointer[i] *= factor }
            threshold.pointer[feature] = max(0, encoderBias.pointer[feature] - factor * gateBias.pointer[feature])
        }
        self.threshold = threshold
        configuration.rule = .jumpReLU
    }
}

extension SparseAutoencoder {
    /// Takes the tensors as they are.
    convenience init(_ weights: SAEWeights) {
        self.init(
            configuration: weights.configuration, encoderWeight: weights.encoderWeight,
            encoderBias: weights.encoderBias, decoderWeight: weights.decoderWeight, decoderBias: weights.decoderBias,
            threshold: weights.threshold)
    }
}

extension WeightStore {
    /// A tensor of its own, widened to single precision.
    ///
    /// - Throws: `FileFailure`: missing, of another shape, or with NaN or infinity in it (`take` looks).
    func own(_ name: String, _ shape: [Int]) throws(FileFailure) -> Tensor {
        let weight = try take(name, shape: shape)
        let tensor = Tensor(shape)
        weight.copyFloats(into: tensor.pointer)
        return tensor
    }

    /// `[rows, columns]` of a tensor that lies transposed in the file.
    func ownTransposed(_ name: String, _ shape: [Int]) throws(FileFailure) -> Tensor {
        let matrix = try own(name, shape.reversed())
        return transposed(matrix)
    }
}

func transposed(_ matrix: Tensor) -> Tensor {
    let (rows, columns) = (matrix.shape[0], matrix.shape[1])
    return matrix.reshaped([1, 1, rows, columns]).channelsFirst().reshaped([columns, rows])
}
