import Files
import Foundation
import Ops
import SparseAutoencoders
import StableDiffusion
import Tensors
import Testing
import Visualization

@Suite struct SteeringRequestTests {
    @Test func channels() throws {
        let request = try SteeringRequest(parsing: "up_blocks.1.attentions.1:channel=3:12.5@800-300")
        #expect(
            request
                == SteeringRequest(
                    layer: "up_blocks.1.attentions.1", target: .channel(3), edit: .add(12.5), timesteps: 300...800))
    }

    @Test(arguments: [
        ("l:feature=7:clamp=-2", FeatureEdit.clamp(-2)), ("l:feature=7:scale=0.5", .scale(0.5)),
        ("l:feature=7:ablate", .scale(0)), ("l:feature=7:-3e2", .add(-300)),
    ]) func features(text: String, edit: FeatureEdit) throws {
        #expect(try SteeringRequest(parsing: text) == SteeringRequest(layer: "l", target: .feature(7), edit: edit))
    }

    @Test func aFileMayHaveColonsAndAtSigns() throws {
        let request = try SteeringRequest(parsing: "l:vector=/a:b@c/v.safetensors:2@301")
        #expect(request.target == .vector(file: "/a:b@c/v.safetensors"))
        #expect(request.timesteps == 301...301)
    }

    @Test(arguments: [
        "", "l", "l:channel=1", "l:channel:3", "l:channel=x:3", "l:channel=-1:3", "l:neuron=1:3", "l:channel=1:loud",
        "l:channel=1:clamp=3", "l:vector=f:ablate", "l:feature=1:nan", "l:feature=1:2@", "l:feature=1:2@1-2-3",
        "l:feature=1:2@a-b", "l:feature=1:clamp=", "l:feature=1:boost=2",
    ]) func nonsenseIsUsage(text: String) {
        #expect {
            try SteeringRequest(parsing: text)
        } throws: {
            ($0 as? SimpleFailure)?.kind == .usage && "\($0)".contains("expected")
        }
    }

    @Test func recordings() throws {
        let plain = try RecordingRequest(parsing: "mid_block.attentions.0")
        #expect(!plain.features && plain.form == .means && plain.timesteps == nil)
        let full = try RecordingRequest(parsing: "mid_block.attentions.0:maps:features@0-500")
        #expect(full.features && full.form == .maps && full.timesteps == 0...500)
        #expect(full.name == "mid_block.attentions.0/features/maps")
        for text in ["", ":maps", "l:maps:maps", "l:everything", "l@x"] {
            #expect(throws: SimpleFailure.self) { try RecordingRequest(parsing: text) }
        }
    }
}

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
