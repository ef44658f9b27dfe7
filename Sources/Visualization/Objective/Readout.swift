import Files
import Ops
import SparseAutoencoders
import Tensors

/// A number read from each position of an activation `[…, D]`, with the gradient back. A new kind of
/// objective is a new case here.
public enum Readout: Sendable {
    /// Channel `j` of the layer itself.
    case channel(Int)
    /// W_enc[j]·(x − b_dec) + b_enc[j], rectified: before any top-k selection.
    case feature(Int, SparseAutoencoder)
    /// v·x, `v [D]`; the name, and the file it was read from, are for records.
    case direction(Tensor, name: String, file: String? = nil)

    /// The value at every row of `activation [N, D]`, not rectified.
    /// - Precondition: it can be read from D channels (`check`).
    func values(_ activation: Tensor, engine: Engine) -> [Float] {
        let (rows, width, x) = (activation.rows, activation.channels, activation.pointer)
        precondition(isReadable(width: width), "\(name) of an activation with \(width) channels")
        switch self {
        case .channel(let channel):
            return (0..<rows).map { x[$0 * width + channel] }
        case .feature(let feature, let autoencoder):
            return autoencoder.preActivation(of: feature, activation, engine: engine)
        case .direction(let vector, _, _):
            return (0..<rows).map { row in
                var sum = 0.0
                for i in 0..<width { sum += Double(vector.pointer[i]) * Double(x[row * width + i]) }
                return Float(sum)
            }
        }
    }

    /// The value at every row of an activation `[…, D]`, plainly rectified.
    package func activations(_ activation: Tensor, engine: Engine) -> [Float] {
        values(activation, engine: engine).map(rectifier(.relu).value)
    }

    /// Adds Σ_r slopes[r] · ∂value_r/∂activation to `gradient [N, D]`.
    func addGradient(_ slopes: [Float], at activation: Tensor, to gradient: Tensor, engine: Engine) {
        let width = gradient.channels
        precondition(isReadable(width: width), "\(name) of an activation with \(width) channels")
        switch self {
        case .channel(let channel):
            for (row, slope) in slopes.enumerated() { gradient.pointer[row * width + channel] += slope }
        case .feature(let feature, let autoencoder):
            let own = autoencoder.backwardInput(of: feature, slopes, x: activation, engine: engine)
            for i in 0..<gradient.count { gradient.pointer[i] += own.pointer[i] }
        case .direction(let vector, _, _):
            for (row, slope) in slopes.enumerated() {
                for i in 0..<width { gradient.pointer[row * width + i] += slope * vector.pointer[i] }
            }
        }
    }

    /// The paper rectifies SAE features, and neither channels nor directions.
    func rectifier(_ chosen: Rectifier) -> Rectifier {
        if case .feature = self { chosen } else { .none }
    }

    /// Its name in records: `channel 3`, `feature 742`, `direction NAME`.
    var name: String {
        switch self {
        case .channel(let channel): "channel \(channel)"
        case .feature(let feature, _): "feature \(feature)"
        case .direction(_, let name, _): "direction \(name)"
        }
    }

    /// Features for an SAE's feature; a direction lies among the layer's channels.
    public var space: Space {
        if case .feature = self { .features } else { .channels }
    }

    private func isReadable(width: Int) -> Bool {
        switch self {
        case .channel(let channel): (0..<width).contains(channel)
        case .feature(let feature, let sae): sae.inputWidth == width && (0..<sae.numLatents).contains(feature)
        case .direction(let vector, _, _): vector.count == width
        }
    }

    /// - Throws: `SimpleFailure(.usage)` if this cannot be read from a layer of `width` channels.
    func check(width: Int, layer: String) throws {
        switch self {
        case .channel(let channel):
            try expect((0..<width).contains(channel), "channel \(channel): \(layer) has channels 0 to \(width - 1)")
        case .feature(let feature, let autoencoder):
            let (inputs, latents) = (autoencoder.inputWidth, autoencoder.numLatents)
            try expect(
                inputs == width,
                "the SAE takes \(inputs) channels, but \(layer) has \(width); give the SAE of this layer")
            try expect(
                (0..<latents).contains(feature), "feature \(feature): the SAE has features 0 to \(latents - 1)")
        case .direction(let vector, _, _):
            try expect(
                vector.count == width, "the direction has \(vector.count) numbers, but \(layer) has \(width) channels")
        }
    }

    private func expect(_ condition: Bool, _ message: @autoclosure () -> String) throws {
        if !condition { throw SimpleFailure(.usage, message()) }
    }
}
