import CLVO
import Experiments
import Files
import Ops
import Pictures
import StableDiffusion
import Tensors
import Testing
import Visualization

@Suite struct CGenerationTests {
    private let model: Handle
    private let sae: Handle
    private let session: ModelSession

    init() throws {
        model = try Handle.model()
        sae = try Handle.autoencoder()
        session = try ModelSession(
            ModelReference(EmbeddedModel.name, autoencoders: EmbeddedModel.name), engine: Engine(threads: 2))
    }

    private func generate(_ settings: String, picture: Bitmap? = nil) throws -> Handle {
        try Handle.result { result, error in
            let shape = [Int64(picture?.height ?? 0), Int64(picture?.width ?? 0)]
            return [sae.pointer as OpaquePointer?].withUnsafeBufferPointer {
                lvo_model_generate(model.pointer, settings, picture?.pixels, shape, $0.baseAddress, 1, nil, nil, result, error)
            }
        }
    }

    @Test func picturesAreTheLibrarys() throws {
        let result = try generate(
            """
            {"prompts": ["a red circle", "a blue square"], "seeds": [5], "steps": 3, "sampler": "euler",
             "steer": [{"layer": "\(layer)", "feature": 7, "sae": 0, "strength": 2.5, "timesteps": [0, 900]},
                       {"layer": "\(layer)", "channel": 3, "strength": 0.5}],
             "record": [{"layer": "\(layer)", "form": "maps"}]}
            """)
        let autoencoder = try session.autoencoder(layer)
        let drawing = try PictureDrawing(
            session,
            steering: [
                Steering(layer: layer, readout: .feature(7, autoencoder), edit: .add(2.5), timesteps: 0...900),
                Steering(layer: layer, readout: .channel(3), edit: .add(0.5)),
            ], recordings: [Recording(layer: layer, form: .maps)])
        let (pictures, latents) = (try result.bytes("pictures"), try result.array("latents"))
        #expect(pictures.shape == [2, 64, 64, 3] && latents.shape == [2, 4, 16, 16])
        for (index, prompt) in ["a red circle", "a blue square"].enumerated() {
            var parameters = GenerationParameters()
            (parameters.prompt, parameters.seed, parameters.steps, parameters.sampler) = (prompt, 5, 3, .euler)
            let expected = try drawing.draw(parameters)
            #expect(Array(latents.values[index * 1024..<(index + 1) * 1024]) == expected.latent.array)
            #expect(Array(pictures.values[index * 12288..<(index + 1) * 12288]) == expected.bitmap.pixels)
            #expect(try result.array("record/0/\(index)").values == expected.activations[0].tensor.array)
            #expect(try result.array("record/0/\(index)/timesteps").values == expected.activations[1].tensor.array)
        }
        let described = try #require(try result.json()["pictures"]?.array)
        #expect(described.map { $0["prompt"] } == ["a red circle", "a blue square"])
        #expect(described[0]["parameters"]?.string?.contains("feature=7:2.5@0.0-900.0") == true)
    }

    @Test func aPictureCanBeTheStart() throws {
        let start = Bitmap(width: 32, height: 48, red: 200, green: 30, blue: 30)
        let result = try generate(#"{"steps": 4, "strength": 0.5, "guidance_scale": 1}"#, picture: start)
        #expect(try result.bytes("pictures").shape == [1, 48, 32, 3])
        var parameters = GenerationParameters()
        (parameters.steps, parameters.strength, parameters.guidanceScale) = (4, 0.5, 1)
        let expected = try PictureDrawing(session, start: start).draw(parameters)
        #expect(try result.bytes("pictures").values == expected.bitmap.pixels)
    }

    @Test(arguments: [
        (#"{"steps": 1000}"#, "1000 steps"), (#"{"width": 30}"#, "multiples of 4"), (#"{"strength": 0.5}"#,
            "a picture to start from"),
        (#"{"sampler": "eule"}"#, "sampler: expected one of pndm"), (#"{"seeds": [1, 1]}"#, "each once"),
        (#"{"prompts": []}"#, "prompts: expected 1 to"), (#"{"steer": [{"layer": "conv_in"}]}"#, "one of the three"),
        (#"{"steer": [{"layer": "conv_in", "channel": 99, "strength": 1}]}"#, "conv_in has channels 0 to 31"),
        (#"{"steer": [{"layer": "conv_in", "channel": 9}]}"#, "steer[0]: strength is needed"),
        (#"{"steer": [{"layer": "conv_in", "channel": 9, "edit": "ablate"}]}"#, "only an autoencoder's features"),
        (#"{"steer": [{"layer": "conv_in", "feature": 9, "strength": 1, "sae": 1}]}"#, "an index into the 1 autoencoders"),
        (#"{"record": [{"layer": "conv_in", "space": "features"}]}"#, "need a sparse autoencoder"),
    ])
    func settingsAreChecked(settings: String, message: String) {
        let error = #expect(throws: CallError.self) { try generate(settings) }
        #expect(error?.code == LVO_INVALID_ARGUMENT && error?.message.contains(message) == true, "\(error?.message ?? "")")
    }

    private func dream(_ settings: String, start: [Float]? = nil) throws -> Handle {
        try Handle.result { result, error in
            [sae.pointer as OpaquePointer?].withUnsafeBufferPointer {
                lvo_model_dream(
                    model.pointer, settings, start, start == nil ? nil : [1, 4, 16, 16], $0.baseAddress, 1, nil,
                        nil, result, error)
            }
        }
    }

    @Test func dreamsAreTheLibrarys() throws {
        let result = try dream(
            """
            {"layer": "\(layer)", "objectives": [{"feature": 7, "sae": 0}, [{"channel": 3}, {"channel": 5, "weight": -0.5}]],
             "timesteps": [301, 20], "seeds": [1, 2], "preset": "tuned", "steps": 4, "every": 2}
            """)
        var settings = DreamSettings(.tuned)
        settings.steps = 4
        let request = DreamRequest(
            layer: layer,
            objectives: [
                .feature(7, of: try session.autoencoder(layer)),
                Objective([.init(.channel(3)), .init(.channel(5), weight: -0.5)]),
            ], timesteps: [301, 20], seeds: [1, 2], settings: settings)
        let experiment = try DreamExperiment(request, session: session)
        let outcomes = try experiment.batches.map { try experiment.run($0, snapshotEvery: 2) }
        #expect(try result.array("latents").shape == [8, 4, 16, 16])
        #expect(try result.array("latents").values == outcomes.flatMap(\.latents.array))
        #expect(try result.array("snapshots/1/steps").values == [0, 2, 4])
        #expect(try result.array("snapshots/1").values == outcomes[1].snapshots.flatMap(\.latents.array))
        #expect(try result.bytes("pictures").values
            == outcomes.flatMap { try experiment.pictures($0.latents) }.flatMap(\.pixels))
        let records = try #require(try result.json()["records"]?.array)
        #expect(records == outcomes.flatMap(\.records).map { $0.json(timed: false) })
        #expect(try result.array("activations").shape == [8, 4])
    }

    @Test func latentsCanBeTheStart() throws {
        let start = (0..<1024).map { Float($0 % 17) / 17 - 0.5 }
        let result = try dream(
            #"{"layer": "conv_in", "objectives": [{"channel": 3}], "timesteps": [0], "seeds": [1], "steps": 1, "every": 1}"#,
            start: start)
        #expect(Array(try result.array("snapshots/0").values.prefix(1024)) == start)
        #expect(try result.json()["records"]?.array?.first?["init"] == "latents")
    }

    @Test(arguments: [
        ("{}", "layer is needed"), (#"{"layer": "conv_in", "timesteps": [1]}"#, "objectives: expected a list"),
        (#"{"layer": "conv_in", "timesteps": [1000], "objectives": [{"channel": 1}], "init": "noise"}"#, "time step 1000"),
        (#"{"layer": "conv_in", "timesteps": [1], "objectives": [[]]}"#, "objectives[0]: expected at least one term"),
        (#"{"layer": "conv_in", "timesteps": [1], "objectives": [{"channel": 1}], "stepps": 3}"#,
            "the nearest known one is steps"),
        (#"{"layer": "conv_in", "timesteps": [1], "objectives": [{"channel": 1}], "steps": 0}"#,
            "steps: expected a whole number"),
        (#"{"layer": "conv_in", "timesteps": [1], "objectives": [{"channel": 1}], "init": "pool:0"}"#, "pool:N"),
        (#"{"layer": "conv_in", "timesteps": [1], "objectives": [{"channel": 1}], "init": "latents"}"#, "if and only if start"),
        (#"{"layer": "conv_in", "timesteps": [1], "objectives": [{"feature": 1}], "init": "noise"}"#,
            "need a sparse autoencoder"),
        (#"{"layer": "conv_in", "timesteps": [1], "objectives": [{"direction": [1]}], "init": "noise"}"#, "has 1 numbers"),
    ])
    func dreamSettingsAreChecked(settings: String, message: String) {
        let error = #expect(throws: CallError.self) { try dream(settings) }
        #expect(error?.code == LVO_INVALID_ARGUMENT && error?.message.contains(message) == true, "\(error?.message ?? "")")
    }
}
