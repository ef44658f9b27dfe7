import Ops
import SparseAutoencoders
import Tensors

/// The objective of one latent: a weighted sum of readouts, each rectified and reduced over positions.
///
///     a(z) = Σ_i w_i · P(ρ(readout_i)),   P: the mean over positions, or another `Pooling`
///
/// A negative weight looks for the opposite: where a feature is least active.
public struct Objective: Sendable {
    /// A readout with its weight in the sum.
    public struct Term: Sendable {
        /// The number read from the layer.
        public let readout: Readout
        /// Its share of the sum; negative values seek its absence.
        public let weight: Float

        /// A readout with its weight.
        public init(_ readout: Readout, weight: Float = 1) {
            self.readout = readout
            self.weight = weight
        }
    }

    /// The summands.
    public let terms: [Term]
    /// How each is reduced over positions.
    public var pooling: Pooling

    /// The weighted sum of the terms.
    ///
    /// - Precondition: there is at least one.
    public init(_ terms: [Term], pooling: Pooling = .mean) {
        precondition(!terms.isEmpty, "an objective needs a term")
        (self.terms, self.pooling) = (terms, pooling)
    }

    /// The mean of one channel.
    public static func channel(_ channel: Int) -> Objective { Objective([Term(.channel(channel))]) }

    /// The mean of one feature's pre-activation.
    public static func feature(_ feature: Int, of autoencoder: SparseAutoencoder) -> Objective {
        Objective([Term(.feature(feature, autoencoder))])
    }

    /// `.features` if any term reads a feature; decides the default settings.
    public var space: Space { terms.contains { $0.readout.space == .features } ? .features : .channels }

    /// Its name in records: `feature 742`, `feature 3 - 0.5 feature 7`.
    public var name: String {
        var text = ""
        for (index, term) in terms.enumerated() {
            let magnitude = abs(term.weight) == 1 ? "" : "\(abs(term.weight)) "
            let sign = term.weight < 0 ? "-" : index > 0 ? "+" : ""
            text += (index > 0 ? " \(sign) " : sign) + magnitude + term.readout.name
        }
        return text
    }

    /// - Throws: `SimpleFailure(.usage)` if a term cannot be read from a layer of `width` channels.
    public func check(width: Int, layer: String) throws {
        for term in terms { try term.readout.check(width: width, layer: layer) }
    }

    /// a at one latent's activation.
    /// - Parameter activation: `[N, D]`.
    public func value(_ activation: Tensor, rectifier: Rectifier, engine: Engine) -> Double {
        terms.reduce(0) { sum, term in
            let rectifier = term.readout.rectifier(rectifier)
            let values = term.readout.values(activation, engine: engine).map(rectifier.value)
            return sum + Double(term.weight) * pooling.value(values)
        }
    }

    /// a at one latent's activation `[N, D]`, and its gradient there. `isFlat`: the gradient is 0 everywhere.
    public func evaluate(
        _ activation: Tensor, rectifier: Rectifier, engine: Engine
    ) -> (value: Double, gradient: Tensor, isFlat: Bool) {
        let gradient = Tensor.zeros(activation.shape, in: engine.workspace)
        var (value, isFlat) = (0.0, true)
        for term in terms {
            let rectifier = term.readout.rectifier(rectifier)
            let readings = term.readout.values(activation, engine: engine)
            let values = readings.map(rectifier.value)
            value += Double(term.weight) * pooling.value(values)
            let slopes = zip(readings, pooling.gradient(values)).map { term.weight * rectifier.slope($0) * $1 }
            if slopes.allSatisfy({ $0 == 0 }) { continue }
            isFlat = false
            term.readout.addGradient(slopes, at: activation, to: gradient, engine: engine)
        }
        return (value, gradient, isFlat)
    }
}
