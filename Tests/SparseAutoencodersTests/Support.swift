import Files
import Foundation
import Ops
import SparseAutoencoders
import Tensors

/// Reads a fixture; one that is missing is an error of the test.
func fixture(_ name: String) throws -> String {
    guard let folder = Bundle.module.resourcePath else { throw SimpleFailure(.missingInput, "no resources") }
    return "\(folder)/Fixtures/\(name)"
}

/// ‖a − b‖ / ‖b‖.
func relativeError(_ a: [Float], _ b: [Float]) -> Double {
    guard a.count == b.count else { return .infinity }
    var (difference, norm) = (0.0, 0.0)
    for (x, y) in zip(a, b) {
        difference += (Double(x) - Double(y)) * (Double(x) - Double(y))
        norm += Double(y) * Double(y)
    }
    return norm > 0 ? (difference / norm).squareRoot() : difference.squareRoot()
}

/// An autoencoder of random weights.
func randomAutoencoder(_ configuration: SAEConfiguration, seed: UInt64 = 1) -> SparseAutoencoder {
    let (d, l) = (configuration.inputWidth, configuration.numLatents)
    func normals(_ shape: [Int], _ unit: UInt64) -> Tensor {
        CounterRandom(seed: seed, purpose: .initialization, unit: unit).normals(shape)
    }
    return SparseAutoencoder(
        configuration: configuration, encoderWeight: normals([l, d], 1), encoderBias: normals([l], 2),
        decoderWeight: normals([l, d], 3), decoderBias: normals([d], 4),
        threshold: configuration.rule == .jumpReLU ? Tensor([l], (0..<l).map { 0.01 * Float($0 % 7) }) : nil)
}
