import Checkpoints
import Experiments
import Files
import Ops
import StableDiffusion
import Tensors
import TestSupport
import Testing
import Visualization

/// One run of the embedded model's U-Net.
@Suite struct ProbeTests {
    private static let layer = EmbeddedModel.layer

    private static func session() throws -> ModelSession {
        try ModelSession(
            ModelReference(EmbeddedModel.name, autoencoders: EmbeddedModel.name), engine: Engine(threads: 1))
    }

    private static func probe(_ session: ModelSession, seeds: [UInt64] = [1, 2]) throws -> Probe {
        var probe = Probe(layer: layer, timestep: 301.5, latents: try Probe.noise(seeds: seeds, of: session))
        probe.text.prompt = "a red star"
        return probe
    }

    /// What a file of a latent or a direction may not hold.
    @Test func tensorsThatCannotBeUsedAreRefused() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("x.safetensors")
        try SafetensorsWriter.write([("latent", Tensor([1, 1, 1, 2], [1, .infinity]))], to: path)
        #expect { try TensorFile.read(path, name: "latent") } throws: { "\($0)".contains("latent") }
        let header = Array(#"{"latent":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}"#.utf8)
        let length = [UInt8(header.count)] + [UInt8](repeating: 0, count: 7)
        let strange = try folder.write("c.safetensors", length + header + [UInt8](repeating: 0, count: 8))
        #expect { try TensorFile.read(strange, name: "latent") } throws: { "\($0)".contains("C64") }
    }

    @Test func theObjectiveIsTheMeanOfWhatIsRead() throws {
        let session = try Self.session()
        var probe = try Self.probe(session)
        probe.readout = .channel(3)
        let result = try probe.run(session)
        let activations = try #require(result.activations)
        let sum = (0..<activations.rows).reduce(0.0) { $0 + Double(activations.array[$1 * activations.channels + 3]) }
        #expect(result.objective == Float(sum / Double(activations.rows)))
        #expect(result.tensors.map(\.name) == ["activations", "mean", "objective"])
        #expect(result.gradient == nil && result.prediction == nil)
    }

    /// Along the gradient the objective changes as it says: central difference in float32.
    @Test(arguments: [false, true], [Where.mean, .peak(sharpness: 4), .position(x: 3, y: 5)])
    func theGradientIsOfMinusTheObjective(ofAFeature: Bool, place: Where) throws {
        let session = try Self.session()
        var probe = try Self.probe(session, seeds: place == .mean ? [1] : [1, 2])
        probe.where = place
        probe.readout = ofAFeature ? .feature(7, try session.autoencoder(Self.layer)) : .channel(3)
        probe.wantsGradient = true
        let gradient = try #require(try probe.run(session).gradient)
        let square = gradient.array.reduce(0.0) { $0 + Double($1) * Double($1) }
        if ofAFeature { try #require(square > 0, "the feature is off everywhere") }
        let step = 0.01 / square.squareRoot()
        func objective(_ sign: Double) throws -> Double {
            var moved = probe
            moved.wantsGradient = false
            moved.latents = Tensor(
                gradient.shape, zip(probe.latents.array, gradient.array).map { $0 + Float(sign * step) * $1 })
            return Double(try #require(try moved.run(session).objective))
        }
        let slope = try (objective(1) - objective(-1)) / (2 * step)
        #expect(abs(slope + square) < 0.02 * square)
    }

    @Test func theWholeOutputAndALayerInOneRun() throws {
        let session = try Self.session()
        var probe = try Self.probe(session)
        let alone = try probe.run(session)
        probe.wantsPrediction = true
        let both = try probe.run(session)
        #expect(both.activations?.array == alone.activations?.array)
        #expect(both.prediction?.shape == probe.latents.shape)
        probe.layer = nil
        #expect(try probe.run(session).prediction?.array == both.prediction?.array)
    }

    @Test func mistakesAreUsage() throws {
        let session = try Self.session()
        func refuse(_ change: (inout Probe) throws -> Void) throws {
            var probe = try Self.probe(session)
            try change(&probe)
            #expect(throws: SimpleFailure.self) { _ = try probe.run(session) }
        }
        try refuse { $0.layer = "nowhere" }
        try refuse { $0.layer = nil }
        try refuse { $0.readout = .channel(64) }
        try refuse { $0.wantsGradient = true }
        try refuse {
            ($0.readout, $0.where) = (.channel(1), .position(x: 8, y: 0))
        }
        try refuse { $0.timestep = 1000 }
        try refuse { $0.timestep = .nan }
        try refuse { $0.readout = .feature(1 << 20, try session.autoencoder(Self.layer)) }
    }
}
