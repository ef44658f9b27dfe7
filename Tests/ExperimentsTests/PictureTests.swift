import Experiments
import Files
import Ops
import Pictures
import SparseAutoencoders
import StableDiffusion
import Tensors
import TestSupport
import Testing
import Visualization

/// Pictures of the embedded model.
@Suite struct PictureTests {
    private static let layer = EmbeddedModel.layer

    private static func session() throws -> ModelSession {
        try ModelSession(
            ModelReference(EmbeddedModel.name, autoencoders: EmbeddedModel.name), engine: Engine(threads: 1))
    }

    private static let parameters = {
        var parameters = GenerationParameters()
        (parameters.prompt, parameters.steps, parameters.sampler, parameters.seed) = ("a red star", 4, .ddim, 3)
        return parameters
    }()

    @Test func itsTextDrawsItAgain() throws {
        let (folder, session) = (try TemporaryFolder(), try Self.session())
        let drawing = try PictureDrawing(session, software: "test 1")
        let picture = try drawing.draw(Self.parameters)
        try picture.write(.init(latent: true, activations: true), stem: folder.file("p"), overwrite: false)
        #expect(try folder.contents == ["p.png", "p.safetensors"])
        let text = try #require(try PNG.text(folder.file("p.png")).first).text
        #expect(text.contains("Model: shapes") && text.contains("Version: test 1"))
        let again = try drawing.draw(ParametersText.parse(text, name: "p"))
        #expect(again.latent.array == picture.latent.array && again.text == text)
        #expect(try PNG.read(folder.file("p.png")).bitmap == picture.bitmap)
    }

    @Test func editsActInTheirTimeStepsAndRecordingsSeeWhatWasBefore() throws {
        let session = try Self.session()
        let sae = try session.autoencoder(Self.layer)
        func draw(_ steering: [Steering]) throws -> Picture {
            try PictureDrawing(
                session, steering: steering,
                recordings: [
                    Recording(layer: Self.layer, form: .maps, timesteps: 0...600),
                    Recording(layer: Self.layer, space: .features), Recording(layer: Self.layer, timesteps: 998...999),
                ]
            ).draw(Self.parameters)
        }
        func steering(_ readout: Readout, _ edit: FeatureEdit, _ range: ClosedRange<Float>?) -> Steering {
            Steering(layer: Self.layer, readout: readout, edit: edit, timesteps: range, text: "edit")
        }
        let plain = try draw([])
        #expect(plain.unrecorded == [Self.layer])
        #expect(plain.activations.map(\.name) == [
            "\(Self.layer)/channels/maps", "\(Self.layer)/channels/maps/timesteps",
            "\(Self.layer)/features/means", "\(Self.layer)/features/means/timesteps",
        ])
        #expect(plain.activations[1].tensor.array == [501, 251, 1])
        #expect(plain.activations[2].tensor.shape == [4, sae.numLatents])
        let direction = Tensor([64], [Float](repeating: 1, count: 64))
        for readout in [Readout.channel(5), .feature(7, sae), .direction(direction, name: "d")] {
            let late = try draw([steering(readout, .add(9), 0...300)])
            #expect(late.latent.array != plain.latent.array && late.text.contains("Steering: edit"))
            let maps = (late.activations[0].tensor, plain.activations[0].tensor)
            #expect(maps.0.slice(0..<2).array == maps.1.slice(0..<2).array, "before its time steps")
            #expect(try draw([steering(readout, .add(9), 900...999)]).latent.array == plain.latent.array)
        }
        #expect(try draw([steering(.feature(7, sae), .scale(1), nil)]).latent.array == plain.latent.array)
        #expect(try draw([steering(.feature(7, sae), .clamp(9), nil)]).latent.array != plain.latent.array)
    }

    @Test func mistakesAreUsage() throws {
        let session = try Self.session()
        let sae = try session.autoencoder(Self.layer)
        func refuse(_ readout: Readout, _ edit: FeatureEdit = .add(1), layer: String = PictureTests.layer) {
            #expect(throws: SimpleFailure.self) {
                _ = try Steering(layer: layer, readout: readout, edit: edit).hook(session)
            }
        }
        refuse(.channel(64))
        refuse(.channel(-1))
        refuse(.feature(sae.numLatents, sae))
        refuse(.feature(0, sae), layer: "mid_block.attentions.0")
        refuse(.direction(Tensor.zeros([63]), name: ""))
        refuse(.channel(0), .clamp(1))
        refuse(.channel(0), layer: "nowhere")
        var parameters = Self.parameters
        parameters.width = 63
        #expect(throws: SimpleFailure.self) { _ = try PictureDrawing(session).draw(parameters) }
    }

    @Test func imageToImageKeepsItsPicturesSizeAndMakesFewerCalls() throws {
        let session = try Self.session()
        let start = try PictureDrawing(session).draw(Self.parameters).bitmap
        let drawing = try PictureDrawing(session, start: start.resized(width: 50, height: 41))
        var parameters = Self.parameters
        parameters.strength = 0.5
        let sized = try drawing.sized(parameters)
        #expect(sized.width == 48 && sized.height == 40)
        #expect(try drawing.calls(sized) == 2)
        var calls = 0
        #expect(try drawing.draw(parameters) { calls += 1 }.bitmap.width == 48)
        #expect(calls == 2)
    }

    @Test func progressThatThrowsEndsIt() throws {
        let drawing = try PictureDrawing(Self.session())
        #expect(throws: Enough.self) { _ = try drawing.draw(Self.parameters) { throw Enough() } }
    }
}
