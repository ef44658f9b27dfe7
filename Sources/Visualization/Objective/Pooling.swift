import Foundation
import Tensors

/// The reduction of the values v at the N positions of a map to one number, with its gradient.
public enum Pooling: Sendable, Equatable {
    /// Σ v / N.
    case mean
    /// A soft maximum: the logarithm of the mean exponential, in units of the values' own deviation s over positions.
    ///
    ///     a = m + s/β · log(Σ exp(β z) / N),   z = (v − m)/s,   m and s: mean and deviation of v
    ///     ∂a/∂v_n = w_n − κ z_n / N,            w = softmax(β z),   κ = Σ w z − log(Σ exp(β z) / N)/β
    ///
    /// β = 0 would be the mean, β = ∞ the maximum. Values in other units or with an offset have the same w, so one
    /// sharpness serves faint and strong features, and channels, whose zero means nothing. The gradient is exact; the
    /// term with κ is the change of s. It adds up to 1, as the mean's does.
    case peak(sharpness: Double)
    /// Σ w v: one w per position, row by row, which add up to 1.
    case weights([Float])

    /// - Precondition: as many values as weights.
    func value(_ values: [Float]) -> Double {
        switch self {
        case .mean: return values.reduce(0.0) { $0 + Double($1) } / Double(values.count)
        case .peak(let sharpness): return Peak(values, sharpness).value
        case .weights(let weights):
            precondition(weights.count == values.count, "\(weights.count) weights for \(values.count) positions")
            return zip(weights, values).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
        }
    }

    /// ∂value/∂values.
    func gradient(_ values: [Float]) -> [Float] {
        switch self {
        case .mean: return Array(repeating: 1 / Float(values.count), count: values.count)
        case .peak(let sharpness): return Peak(values, sharpness).gradient
        case .weights(let weights): return weights
        }
    }

    /// The values of each channel of a map `[N, C]`, reduced: C numbers.
    package func reduce(_ map: Tensor) -> [Double] {
        let (positions, width) = (map.rows, map.channels)
        return (0..<width).map { channel in value((0..<positions).map { map.pointer[$0 * width + channel] }) }
    }
}

/// The soft maximum of some values; their mean if all are equal.
private struct Peak {
    private let values: [Float]
    private let sharpness: Double
    private var (mean, deviation) = (0.0, 0.0)

    init(_ values: [Float], _ sharpness: Double) {
        (self.values, self.sharpness) = (values, sharpness)
        let count = Double(values.count)
        mean = values.reduce(0.0) { $0 + Double($1) } / count
        deviation = (values.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / count).squareRoot()
    }

    var value: Double { deviation == 0 ? mean : mean + deviation * softmax().logarithm }

    var gradient: [Float] {
        let count = Double(values.count)
        if deviation == 0 { return values.map { _ in Float(1 / count) } }
        let (weights, logarithm) = softmax()
        let scores = scores
        let change = zip(weights, scores).reduce(-logarithm) { $0 + $1.0 * $1.1 }
        return zip(weights, scores).map { Float($0 - change * $1 / count) }
    }

    private var scores: [Double] { values.map { (Double($0) - mean) / deviation } }

    /// The weights of the scores z, and log(Σ exp(β z) / N)/β; the largest is taken out, so that nothing overflows.
    private func softmax() -> (weights: [Double], logarithm: Double) {
        let scores = scores
        let largest = scores.max() ?? 0
        let powers = scores.map { exp(sharpness * ($0 - largest)) }
        let sum = powers.reduce(0, +)
        return (powers.map { $0 / sum }, largest + log(sum / Double(scores.count)) / sharpness)
    }
}
