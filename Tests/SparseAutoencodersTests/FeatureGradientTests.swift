import Ops
import SparseAutoencoders
import Tensors
import Testing

@Suite struct FeatureGradientTests {
    /// Central differences in the direction of a random vector, against the gradient's product with it, on the scale of
    /// the gradient's norm (the direction's entries have deviation 1).
    @Test(arguments: [false, true])
    func gradientOfOneFeature(unitNorm: Bool) throws {
        let engine = try Engine()
        var configuration = SAEConfiguration(inputWidth: 24, numLatents: 40, k: 4)
        configuration.inputUnitNorm = unitNorm
        let autoencoder = randomAutoencoder(configuration)
        let x = CounterRandom(seed: 3, purpose: .noise).normals([2, 3, 24])
        let direction = CounterRandom(seed: 4, purpose: .noise).normals([2, 3, 24]).array
        let slopes: [Float] = [1, -0.5, 2, 0, 0.25, 1]
        func value(_ step: Float) -> Double {
            let moved = Tensor(x.shape, zip(x.array, direction).map { $0 + step * $1 })
            let pre = autoencoder.preActivation(of: 11, moved, engine: engine)
            return zip(pre, slopes).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        }
        let gradient = autoencoder.backwardInput(of: 11, slopes, x: x, engine: engine)
        let analytic = zip(gradient.array, direction).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
        let numeric = (value(1e-2) - value(-1e-2)) / 2e-2
        let norm = gradient.array.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
        #expect(abs(analytic - numeric) < 1e-3 * norm, "\(analytic) against \(numeric)")
        #expect(norm > 1)
    }
}
