import CLVO
import Experiments
import Files
import Foundation
import Ops
import StableDiffusion
import Tensors
import TestSupport
import Testing

@Suite struct CPassTests {
    private let model: Handle

    init() throws { model = try Handle.model() }

    private func library() throws -> ModelSession {
        try ModelSession(ModelReference(EmbeddedModel.name), engine: Engine(threads: 2))
    }

    /// The library's own forward pass.
    private func trace(_ inputs: Inputs, _ unet: UNet, _ hook: HookPoint) throws -> Trace {
        let latent = Tensor(inputs.latentShape.map { Int($0) }, inputs.latent)
        let context = Tensor(inputs.contextShape.map { Int($0) }, inputs.context)
        return unet.forward(
            latent, to: hook, time: unet.prepare(timesteps: inputs.timesteps), text: unet.prepare(context: context))
    }

    @Test func theDescriptionListsEveryHookPoint() throws {
        let description = try json { lvo_model_describe(model.pointer, 0, 0, $0, $1) }
        let hooks = try library().folder.unetConfig.hookPoints()
        let layers = try #require(description["layers"]?.array)
        #expect(layers.map { $0["name"]?.string } == hooks.map(\.name))
        let described = try #require(layers.first { $0["name"]?.string == layer })
        #expect(described["channels"] == 64 && described["height"] == 8 && described["layout"] == "maps")
        #expect(layers.last?["cost"]?.double == 1)
        #expect(description["alphas_cumprod"]?.array?.count == 1000 && description["latent_channels"] == 4)
        #expect(refusal { error in
            var text: UnsafeMutablePointer<CChar>?
            return lvo_model_describe(model.pointer, -1, 0, &text, error)
        }?.message == "height: expected 1 to 4096, or 0 for the model's own, found -1")
    }

    @Test func textIsEncodedAsByTheLibrary() throws {
        let tokens = try json { lvo_model_tokenize(model.pointer, "a red circle", $0, $1) }
        #expect(tokens["ids"]?.array?.count == 77 && tokens["length"]?.int == 5 && tokens["dropped"] == .null)
        let inputs = try Inputs.of(model)
        #expect(inputs.context == (try library().text(TextSource(prompt: "a red circle")).context.array))
    }

    @Test(arguments: [layer, "down_blocks.1.attentions.0.transformer_blocks.0.attn2", "conv_out"])
    func anActivationAndItsGradientAreTheLibrarys(layer: String) throws {
        let inputs = try Inputs.of(model, batch: 2)
        let session = try library()
        let hook = try session.hook(layer)
        let unet = try session.unet(upTo: nil)
        let expected = try trace(inputs, unet, hook)
        let shape = expected.activation.shape
        var kept: OpaquePointer?
        let tokens = try inputs.forward(model, layer, shape: shape, layout: LVO_TOKENS, trace: &kept)
        defer { lvo_trace_free(kept) }
        #expect(tokens == expected.activation.array)
        let cotangent = randomFloats(tokens.count, seed: 5)
        let gradient = unet.backward(expected, gradient: Tensor(shape, cotangent)).array
        // As often as wanted.
        for _ in 0..<2 {
            var found = [Float](repeating: 0, count: inputs.latent.count)
            try call {
                lvo_trace_gradient(kept, cotangent, Int64(cotangent.count), &found, Int64(inputs.latent.count), $0)
            }
            #expect(found == gradient)
        }
    }

    @Test func mapsAreTransposedTokens() throws {
        let inputs = try Inputs.of(model)
        let tokens = try inputs.forward(model, layer, shape: [1, 64, 64], layout: LVO_TOKENS)
        var trace: OpaquePointer?
        let maps = try inputs.forward(model, layer, shape: [1, 64, 8, 8], layout: LVO_MAPS, trace: &trace)
        defer { lvo_trace_free(trace) }
        for channel in 0..<64 {
            for position in 0..<64 { #expect(maps[channel * 64 + position] == tokens[position * 64 + channel]) }
        }
        // The gradient of the map's sum along a direction is a difference of two passes.
        let cotangent = randomFloats(maps.count, seed: 6)
        var gradient = [Float](repeating: 0, count: inputs.latent.count)
        try call { lvo_trace_gradient(trace, cotangent, Int64(maps.count), &gradient, 1024, $0) }
        let step = randomFloats(inputs.latent.count, seed: 7)
        func value(_ factor: Float) throws -> Double {
            var moved = inputs
            for i in step.indices { moved.latent[i] += factor * step[i] }
            let output = try moved.forward(model, layer, shape: [1, 64, 8, 8])
            return zip(output, cotangent).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        }
        let slope = (try value(0.01) - value(-0.01)) / 0.02
        let product = zip(gradient, step).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        #expect(abs(slope - product) < 0.01 * abs(product))
    }

    @Test func samplesMayHaveTimeStepsOfTheirOwn() throws {
        let both = try Inputs.of(model, batch: 2, timesteps: [301, 20.5])
        let output = try both.forward(model, "noise", shape: [2, 4, 16, 16])
        for sample in 0..<2 {
            var one = both
            one.latent = Array(both.latent[sample * 1024..<(sample + 1) * 1024])
            (one.latentShape[0], one.timesteps) = (1, [both.timesteps[sample]])
            let alone = try one.forward(model, nil, shape: [1, 4, 16, 16])
            #expect(alone == Array(output[sample * 1024..<(sample + 1) * 1024]))
        }
    }

    @Test func severalLayersComeOfOnePass() throws {
        let inputs = try Inputs.of(model)
        let names = ["noise", "conv_in", layer, "conv_in"]
        let shapes = [[1, 4, 16, 16], [1, 32, 16, 16], [1, 64, 8, 8], [1, 32, 16, 16]]
        let buffers = shapes.map { GuardedBuffer($0.reduce(1, *), misalignment: 1) }
        let outputs = buffers.map { UnsafeMutablePointer<Float>?($0.pointer) }
        let counts = buffers.map { Int64($0.count) }
        let texts = names.map { UnsafePointer<CChar>(strdup($0)) }
        defer { for text in texts { free(UnsafeMutableRawPointer(mutating: text)) } }
        try call {
            lvo_model_activations(
                model.pointer, texts, 4, inputs.latent, inputs.latentShape, inputs.timesteps, 1, inputs.context,
                inputs.contextShape, Int32(LVO_MAPS), outputs, counts, $0)
        }
        for (index, name) in names.enumerated() {
            #expect(buffers[index].isIntact)
            let alone = try inputs.forward(model, name, shape: shapes[index])
            #expect(buffers[index].array == alone, "\(name)")
        }
    }

    @Test func aLayerReplacedByItselfChangesNothing() throws {
        let inputs = try Inputs.of(model, batch: 2)
        let activation = try inputs.forward(model, layer, shape: [2, 64, 8, 8])
        let noise = try inputs.forward(model, nil, shape: [2, 4, 16, 16])
        func replaced(_ activation: [Float]) throws -> [Float] {
            var output = [Float](repeating: 0, count: noise.count)
            try call {
                lvo_model_replaced(
                    model.pointer, layer, activation, Int64(activation.count), Int32(LVO_MAPS), inputs.latent,
                    inputs.latentShape, inputs.timesteps, 1, inputs.context, inputs.contextShape, &output,
                        Int64(noise.count), $0)
            }
            return output
        }
        #expect(try replaced(activation) == noise)
        #expect(try replaced(activation.map { $0 * 0.5 }) != noise)
    }

    @Test func picturesGoToLatentsAndBack() throws {
        let latents = randomFloats(2 * 4 * 16 * 16, seed: 1)
        var pictures = [Float](repeating: 0, count: 2 * 64 * 64 * 3)
        var rgb = [UInt8](repeating: 0, count: pictures.count)
        try call {
            lvo_model_decode(model.pointer, latents, [2, 4, 16, 16], &pictures, 24576, &rgb, 24576, $0)
        }
        let session = try library()
        let decoded = try session.decoder().decode(Tensor([2, 4, 16, 16], latents))
        #expect(relativeError(pictures, decoded.array) < 1e-6)
        for i in rgb.indices { #expect(abs(Float(rgb[i]) - min(255, max(0, (pictures[i] + 1) * 127.5))) <= 0.51) }
        var (mean, drawn) = ([Float](repeating: 0, count: latents.count), [Float](repeating: 0, count: latents.count))
        try call { lvo_model_encode_pictures(model.pointer, pictures, [2, 64, 64, 3], 0, 0, &mean, 2048, $0) }
        try call { lvo_model_encode_pictures(model.pointer, pictures, [2, 64, 64, 3], 1, 7, &drawn, 2048, $0) }
        let encoder = try session.folder.loadVAEEncoder(engine: session.engine)
        #expect(relativeError(mean, try encoder.encode(Tensor([2, 64, 64, 3], pictures)).latent().array) < 1e-6)
        #expect(mean != drawn && relativeError(drawn, mean) < 0.5)
    }

    private func relativeError(_ found: [Float], _ expected: [Float]) -> Double {
        let difference = zip(found, expected).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
        return (difference / expected.reduce(0.0) { $0 + Double($1) * Double($1) }).squareRoot()
    }
}

@Suite struct CPassRefusalTests {
    private let model: Handle
    private let inputs: Inputs

    init() throws {
        model = try Handle.model()
        inputs = try Inputs.of(model)
    }

    private func message(_ change: (inout Inputs) -> Void, layer: String? = "conv_in", layout: Int32 = 1, count: Int64 = 8192)
        -> String?
    {
        var inputs = self.inputs
        change(&inputs)
        var output = [Float](repeating: 0, count: 8192)
        let error = refusal {
            lvo_model_forward(
                model.pointer, layer, inputs.latent, inputs.latentShape, inputs.timesteps, Int64(inputs.timesteps.count),
                inputs.context, inputs.contextShape, layout, &output, count, nil, $0)
        }
        #expect(error?.code == LVO_INVALID_ARGUMENT)
        return error?.message
    }

    @Test func shapesAreNamed() {
        #expect(message { $0.latentShape[1] = 5 }
            == "latent: expected [B, 4, h, w] with h and w up to 4096, found [1, 5, 16, 16]")
        #expect(
            message { $0.latentShape[2] = -16 }
                == "latent: expected a shape [B, 4, h, w] of positive numbers with at most 2^40 elements, "
                    + "found [1, 4, -16, 16]")
        #expect(message { $0.latentShape[0] = .max }?.hasPrefix("latent: expected a shape") == true)
        #expect(
            message { $0.latentShape = [1, 4, 4097, 1] }
                == "latent: expected [B, 4, h, w] with h and w up to 4096, found [1, 4, 4097, 1]")
        #expect(message { $0.latentShape = [2, 4, 4096, 4096] }?.contains("are more than can be computed") == true)
        #expect(
            message { $0.contextShape[0] = 2 } == "context: expected [1 or 1, T, 64] with T up to 4096, found [2, 77, 64]")
        #expect(message { $0.timesteps = [1, 2] } == "timesteps: expected 1 or 1, found 2")
        #expect(message({ _ in }, count: 8191) == "output: expected 8192 elements, [1, 32, 16, 16], found 8191")
        #expect(message({ _ in }, layout: 2) == "layout: expected LVO_TOKENS (0) or LVO_MAPS (1), found 2")
        #expect(message({ _ in }, layer: "conv_inn")?.hasPrefix("no hook point 'conv_inn'") == true)
    }

    @Test func numbersMustBeFinite() {
        #expect(message { $0.latent[517] = .nan } == "latent: expected finite numbers, found nan at [0, 2, 0, 5]")
        #expect(message { $0.context[65] = -.infinity } == "context: expected finite numbers, found -inf at [0, 1, 1]")
        #expect(message { $0.timesteps = [1000] } == "time step 1000: this model's schedule has 0…999")
        #expect(message { $0.timesteps = [.nan] }?.hasPrefix("time step nan") == true)
    }

    @Test func moreThanThereIsMemoryForIsRefused() throws {
        let small = try Handle.model(#"{"model": "embedded", "threads": 1, "memory": 100000000}"#)
        var trace: OpaquePointer?
        // Refused before the latent is read.
        let error = refusal {
            lvo_model_forward(
                small.pointer, "conv_in", inputs.latent, [1, 4, 2048, 2048], inputs.timesteps, 1, inputs.context,
                inputs.contextShape, 1, nil, 0, &trace, $0)
        }
        #expect(trace == nil)
        #expect(error?.code == LVO_OUT_OF_MEMORY && error?.message.hasPrefix("100.0 MB of memory is not enough") == true)
    }
}
