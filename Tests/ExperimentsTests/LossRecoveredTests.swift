import Experiments
import Files
import Ops
import SparseAutoencoders
import StableDiffusion
import Tensors
import Testing

/// What autoencoders cost the embedded model.
@Suite struct LossRecoveredTests {
    private static let layer = EmbeddedModel.layer

    private static func session() throws -> ModelSession {
        try ModelSession(
            ModelReference(EmbeddedModel.name, autoencoders: EmbeddedModel.name), engine: Engine(threads: 1))
    }

    private static func measurement(_ session: ModelSession) throws -> LossRecovered.Measurement {
        var measurement = LossRecovered.Measurement(try session.generator(), prompts: [Prompt(text: "a red star")])
        (measurement.parameters.steps, measurement.parameters.sampler) = (2, .ddim)
        measurement.timesteps = [101, 501]
        return measurement
    }

    private static func nothing(width: Int) -> SparseAutoencoder {
        SparseAutoencoder(
            configuration: SAEConfiguration(inputWidth: width, numLatents: 2, k: 1),
            encoderWeight: Tensor.zeros([2, width]), encoderBias: Tensor.zeros([2]),
            decoderWeight: Tensor.zeros([2, width]), decoderBias: Tensor.zeros([width]))
    }

    @Test func aReconstructionOfZeroRecoversNothingAndATrainedOneMuch() throws {
        let session = try Self.session()
        let measurement = try Self.measurement(session)
        let nothing = try measurement.run(Self.nothing(width: 64), layer: Self.layer, engine: session.engine)
        #expect(nothing.byTimestep.keys.sorted() == [101, 501])
        #expect(nothing.whole.recovered == 0 && nothing.whole.zero > nothing.whole.model)
        let trained = try measurement.run(
            session.autoencoder(Self.layer), layer: Self.layer, engine: session.engine)
        #expect(trained.whole.model == nothing.whole.model && trained.whole.zero == nothing.whole.zero)
        #expect(trained.whole.recovered > 0.5)
    }

    @Test func mistakesAndStops() throws {
        let session = try Self.session()
        let measurement = try Self.measurement(session)
        #expect(throws: SimpleFailure.self) {
            _ = try measurement.run(Self.nothing(width: 63), layer: Self.layer, engine: session.engine)
        }
        #expect(throws: SimpleFailure.self) {
            _ = try measurement.run(Self.nothing(width: 64), layer: "nowhere", engine: session.engine)
        }
        var late = measurement
        late.timesteps = [101, 1000]
        #expect(throws: SimpleFailure.self) {
            _ = try late.run(Self.nothing(width: 64), layer: Self.layer, engine: session.engine)
        }
        var asked = 0
        #expect(throws: Enough.self) {
            _ = try measurement.run(Self.nothing(width: 64), layer: Self.layer, engine: session.engine) {
                asked += 1
                if asked > 3 { throw Enough() }
            }
        }
        #expect(asked == 4)
    }
}
