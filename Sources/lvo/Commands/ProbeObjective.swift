import Ops
import SparseAutoencoders
import Tensors

/// What `lvo probe` differentiates: a mean over batch and positions.
enum ProbeObjective {
    case channel(Int)
    /// A feature's pre-activation after the ReLU, before any selection.
    case feature(Int, SparseAutoencoder, Engine)

    func value(_ activation: Tensor) -> Float {
        let values: [Float]
        switch self {
        case .channel(let channel):
            values = (0..<activation.rows).map { activation.pointer[$0 * activation.channels + channel] }
        case .feature(let feature, let autoencoder, let engine):
            values = autoencoder.preActivation(of: feature, activation, engine: engine).map { max($0, 0) }
        }
        return Float(values.reduce(0.0) { $0 + Double($1) } / Double(values.count))
    }

    /// The gradient of −value at the activation.
    func cotangent(_ activation: Tensor) -> Tensor {
        let slope = -1 / Float(activation.rows)
        switch self {
        case .channel(let channel):
            let result = Tensor.zeros(activation.shape)
            for row in 0..<result.rows { result.pointer[row * result.channels + channel] = slope }
            return result
        case .feature(let feature, let autoencoder, let engine):
            let pre = autoencoder.preActivation(of: feature, activation, engine: engine)
            return autoencoder.backwardInput(
                of: feature, pre.map { $0 > 0 ? slope : 0 }, x: activation, engine: engine)
        }
    }
}
