import Ops
import SparseAutoencoders
import Tensors
import Testing

@Suite struct FeatureEditTests {
    /// Two features along the axes of a plane in three channels: activations are the coordinates.
    private static func autoencoder(unitNorm: Bool = false) -> SparseAutoencoder {
        var configuration = SAEConfiguration(inputWidth: 3, numLatents: 2, k: 1)
        configuration.inputUnitNorm = unitNorm
        let weight = Tensor([2, 3], [1, 0, 0, 0, 1, 0])
        return SparseAutoencoder(
            configuration: configuration, encoderWeight: weight, encoderBias: Tensor.zeros([2]),
            decoderWeight: weight.copy(), decoderBias: Tensor.zeros([3]))
    }

    /// Tokens (3, 1, 9) and (1, 2, 9): with k = 1 feature 0 is on in the first only, and channel 2 is all error.
    private static let tokens = Tensor([1, 2, 3], [3, 1, 9, 1, 2, 9])

    @Test(arguments: [
        (FeatureEdit.add(10), [13, 1, 9, 11, 2, 9] as [Float]), (.clamp(5), [5, 1, 9, 6, 2, 9]),
        (.scale(0), [0, 1, 9, 1, 2, 9]), (.scale(2), [6, 1, 9, 1, 2, 9]),
    ]) func onlyTheFeatureChanges(edit: FeatureEdit, expected: [Float]) throws {
        let result = Self.autoencoder().edited(Self.tokens, feature: 0, edit, engine: try Engine(threads: 1))
        #expect(result.shape == [1, 2, 3])
        #expect(result.array == expected)
        #expect(Self.tokens.array == [3, 1, 9, 1, 2, 9], "the input is left alone")
    }

    /// With normalisation the reference is the definition itself: decode(acts′) + (x − decode(acts)).
    @Test func normalisedInputKeepsItsError() throws {
        let engine = try Engine(threads: 1)
        let autoencoder = Self.autoencoder(unitNorm: true)
        let x = Tensor([2, 3], [5, 1, 0, -1, 4, 2])
        let edited = autoencoder.edited(x, feature: 0, .scale(0), engine: engine)
        let codes = autoencoder.encode(x, engine: engine)
        #expect(codes.entries(of: 0).map(\.feature) == [0], "feature 0 is on in the first token")
        let decoded = autoencoder.decode(codes, of: x, engine: engine)
        // Without its only feature a token decodes to its mean, since b_dec is 0.
        let expected = (0..<3).map { 2 + x.pointer[$0] - decoded.pointer[$0] }
        for i in 0..<3 {
            #expect(abs(edited.pointer[i] - expected[i]) < 1e-5)
            #expect(edited.pointer[3 + i] == x.pointer[3 + i], "the feature is off in the second token")
        }
    }
}
