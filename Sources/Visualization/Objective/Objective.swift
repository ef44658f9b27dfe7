import Ops
import SparseAutoencoders
import Tensors

/// The objective of one latent: a weighted sum of readouts, each rectified and averaged over positions.
///
///     a(z) = Σ_i w_i · mean over positions of ρ(readout_i)
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

    /// The weighted sum of the terms.
    ///
    /// - Precondition: there is at least one.
    public init(_ terms: [Term]) {
        precondition(!terms.isEmpty, "an objective needs a term")
        self.terms = terms
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
            let total = term.readout.values(activation, engine: engine).reduce(0.0) {
                $0 + Double(rectifier.value($1))
            }
            return sum + Double(term.weight) * total / Double(activation.rows)
        }
    }

    /// a at one latent's activation `[N, D]`, and its gradient there. `isFlat`: the gradient is 0 everywhere.
    public func evaluate(
        _ activation: Tensor, rectifier: Rectifier, engine: Engine
    ) -> (value: Double, gradient: Tensor, isFlat: Bool) {
        let gradient = Tensor.zeros(activation.shape, in: engine.workspace)
        let share = 1 / Float(activation.rows)
        var (value, isFlat) = (0.0, true)
        for term in terms {
            let rectifier = term.readout.rectifier(rectifier)
            let readings = term.readout.values(activation, engine: engine)
            let total = readings.reduce(0.0) { $0 + Double(rectifier.value($1)) }
            value += Double(term.weight) * total / Double(activation.rows)
            let slopes = readings.map { term.weight * rectifier.slope($0) * share }
            if slopes.allSatisfy({ $0 == 0 }) { continue }
            isFlat = false
            term.readout.addGradient(slopes, at: activation, to: gradient, engine: engine)
        }
        return (value, gradient, isFlat)
    }
}
