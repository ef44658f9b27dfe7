import CLVO
import Foundation

/// Calls with a model.
extension FuzzWorld {
    private static let layers = ["conv_in", "down_blocks.0.resnets.0", "down_blocks.1.attentions.0.transformer_blocks.0.ff"]

    /// Channels and halvings of those.
    private static let shapes = ["conv_in": (32, 0), "down_blocks.0.resnets.0": (32, 0), layers[2]: (64, 1)]

    private struct Latent {
        let batch: Int
        let height: Int
        let width: Int
        let tokens: Int
        var numbers: UnsafeMutablePointer<Float>?
        var shape: UnsafeMutablePointer<Int64>?
        var timesteps: UnsafeMutablePointer<Float>?
        var timestepCount: Int64 = 0
        var context: UnsafeMutablePointer<Float>?
        var contextShape: UnsafeMutablePointer<Int64>?
        var count: Int { batch * 4 * height * width }
    }

    private func latent() -> Latent {
        let (batch, tokens) = (dice.pick([1, 1, 2]), dice.pick([1, 3, 77]))
        var latent = Latent(batch: batch, height: dice.pick([1, 2, 3, 4]), width: dice.pick([1, 2, 4]), tokens: tokens)
        latent.numbers = dice.floats(latent.count)
        latent.shape = dice.shape([batch, 4, latent.height, latent.width])
        let each = dice.once(in: 2) ? batch : 1
        // As many as may be read, whatever count is given.
        latent.timesteps = dice.numbers((0..<batch).map { _ in dice.pick([0, 301, 999, 20.5, 500, 500, 1000, -1, .nan]) })
        latent.timestepCount = dice.count(each)
        let contexts = dice.once(in: 2) ? batch : 1
        latent.context = dice.floats(contexts * tokens * 64)
        latent.contextShape = dice.shape([contexts, tokens, 64])
        return latent
    }

    private func output(_ layer: String, _ latent: Latent) -> Int {
        guard let (channels, level) = Self.shapes[layer] else { return latent.count }
        let size = (0..<level).reduce((latent.height, latent.width)) { size, _ in ((size.0 + 1) / 2, (size.1 + 1) / 2) }
        return latent.batch * channels * size.0 * size.1
    }

    private func someLayer() -> String { dice.pick(Self.layers + ["noise", "conv_out", "nowhere", ""]) }

    private func someLayout() -> Int32 { dice.pick([0, 1, 0, 1, 0, 1, 2, -1]) }

    func describe() {
        let model = someModel()
        var text: UnsafeMutablePointer<CChar>?
        switch dice.below(3) {
        case 0:
            let sides = [Int32(0), 1, 4, -1, 4096, 4097, .max, .min]
            call("lvo_model_describe") { lvo_model_describe(model, dice.pick(sides), dice.pick(sides), &text, $0) }
        case 1: call("lvo_sae_describe") { lvo_sae_describe(someAutoencoder(), &text, $0) }
        default: call("lvo_trainer_describe") { lvo_trainer_describe(someTrainer(), &text, $0) }
        }
        lvo_text_free(text)
    }

    func encodeText() {
        let model = someModel()
        if dice.once(in: 2) {
            var text: UnsafeMutablePointer<CChar>?
            let largest = dice.once(in: 3) ? 255 : 126
            let bytes: [UInt8] = (0..<dice.below(200)).map { _ in UInt8(1 + dice.below(largest)) } + [0]
            call("lvo_model_tokenize") { error in
                bytes.withUnsafeBytes { lvo_model_tokenize(model,
                    $0.baseAddress?.assumingMemoryBound(to: CChar.self), &text, error) }
            }
            return lvo_text_free(text)
        }
        let settings = dice.object([
            ("prompts", ["[\"a\"]", "[]", "[\"a\", \"b\"]", "\"a\"", "[1]"]), ("clip_skip", ["0", "1", "2", "-1",
                "1000", "1e9"]),
            ("emphasis", ["true", "false", "0"]),
        ])
        result("lvo_model_encode") { lvo_model_encode(model, settings, $0, $1) }
    }

    /// A call that gives a result, which is looked at.
    private func result(
        _ name: String, _ body: (UnsafeMutablePointer<OpaquePointer?>, UnsafeMutablePointer<lvo_error>?) -> Int32
    ) {
        let made = made(name, body)
        defer { lvo_result_free(made) }
        var text: UnsafeMutablePointer<CChar>?
        call("lvo_result_names") { lvo_result_names(dice.once(in: 20) ? nil : made, &text, $0) }
        lvo_text_free(text)
        let names = ["context", "latents", "pictures", "W_dec", "", "none", "record/0/0", "activations", "snapshots/0"]
        var (data, type, rank): (UnsafeRawPointer?, Int32, Int32) = (nil, -1, 0)
        let shape = dice.room(8, of: Int64.self)
        let isThere = call("lvo_result_array") { lvo_result_array(made, dice.pick(names), &data, &type, &rank, shape, $0) }
        if isThere, let shape, let data {
            // Every byte may be read.
            let count = (0..<Int(rank)).reduce(1) { $0 * Int(shape[$1]) } * (type == LVO_UINT8 ? 1 : 4)
            _ = UnsafeRawBufferPointer(start: data, count: count).reduce(0) { $0 ^ $1 }
        }
    }

    func activations() {
        let (model, latent, layout) = (someModel(), latent(), someLayout())
        let layers = (0..<dice.pick([1, 2, 3])).map { _ in someLayer() }
        let texts = layers.map { UnsafePointer<CChar>(strdup($0)) }
        defer { for text in texts { free(UnsafeMutableRawPointer(mutating: text)) } }
        let buffers = layers.map { dice.room(output($0, latent), of: Float.self) }
        let counts = layers.map { dice.count(output($0, latent)) }
        let count = dice.once(in: 40) ? dice.pick([0, -1, Int32.max]) : Int32(layers.count)
        call("lvo_model_activations") {
            lvo_model_activations(
                model, texts, count, latent.numbers, latent.shape, latent.timesteps, latent.timestepCount, latent.context,
                latent.contextShape, layout, buffers, counts, $0)
        }
    }

    func forward() {
        let (model, latent, layer, layout) = (someModel(), latent(), someLayer(), someLayout())
        let size = output(layer, latent)
        let buffer = dice.room(size, of: Float.self)
        let count = dice.count(size)
        if dice.once(in: 2) {
            call("lvo_model_forward") {
                lvo_model_forward(
                    model, layer, latent.numbers, latent.shape, latent.timesteps, latent.timestepCount, latent.context,
                    latent.contextShape, layout, buffer, count, nil, $0)
            }
        } else {
            let made = made("lvo_model_forward, trace") {
                lvo_model_forward(
                    model, layer, latent.numbers, latent.shape, latent.timesteps, latent.timestepCount, latent.context,
                    latent.contextShape, layout, buffer, count, $0, $1)
            }
            if let made { keep(trace: (made, size, latent.count)) }
        }
    }

    func gradient() {
        let (output, latent) = (trace?.output ?? 1, trace?.latent ?? 1)
        let (cotangent, gradient) = (dice.floats(output), dice.room(latent, of: Float.self))
        let counts = (dice.count(output), dice.count(latent))
        call("lvo_trace_gradient") { lvo_trace_gradient(trace?.handle, cotangent, counts.0, gradient, counts.1, $0) }
    }

    func replaced() {
        let (model, latent, layer, layout) = (someModel(), latent(), someLayer(), someLayout())
        let size = output(layer, latent)
        let (activation, noise) = (dice.floats(size), dice.room(latent.count, of: Float.self))
        let counts = (dice.count(size), dice.count(latent.count))
        call("lvo_model_replaced") {
            lvo_model_replaced(
                model, layer, activation, counts.0, layout, latent.numbers, latent.shape, latent.timesteps,
                latent.timestepCount, latent.context, latent.contextShape, noise, counts.1, $0)
        }
    }

    func encodePictures() {
        let (batch, height, width) = (dice.pick([1, 2]), dice.pick([4, 8, 6]), dice.pick([4, 8]))
        let pictures = dice.floats(batch * height * width * 3)
        let shape = dice.shape([batch, height, width, 3])
        let size = batch * 4 * (height / 4) * (width / 4)
        let (latents, count) = (dice.room(size, of: Float.self), dice.count(size))
        call("lvo_model_encode_pictures") {
            lvo_model_encode_pictures(someModel(), pictures, shape, dice.pick([0, 1, 0, 1, 2, -1]), UInt64.max,
                latents, count, $0)
        }
    }

    func decode() {
        let (batch, height, width) = (dice.pick([1, 2]), dice.pick([1, 2, 3]), dice.pick([1, 4]))
        let latents = dice.floats(batch * 4 * height * width)
        let shape = dice.shape([batch, 4, height, width])
        let size = batch * height * width * 48
        let pictures = dice.once(in: 3) ? nil : dice.room(size, of: Float.self)
        let rgb = dice.once(in: 3) ? nil : dice.room(size, of: UInt8.self)
        let counts = (dice.count(size), dice.count(size))
        call("lvo_model_decode") {
            lvo_model_decode(someModel(), latents, shape, pictures, counts.0, rgb, counts.1, $0)
        }
    }

    private var progress: lvo_progress? {
        dice.pick([
            nil, { _, done, _, _ in done >= 2 ? 1 : 0 }, { _, _, _, _ in 0 }, { _, _, _, _ in -7 },
            { user, _, _, _ in
                lvo_model_close(user.map { OpaquePointer($0) }, nil)
                return 0
            },
            { user, _, _, _ in
                lvo_model_cancel(user.map { OpaquePointer($0) }, nil)
                return 0
            },
        ])
    }

    func generate() {
        let settings = dice.object(
            [
                ("width", ["8", "16", "6", "0", "1e9"]), ("height", ["8", "4", "-8"]), ("steps", ["1", "2", "0",
                    "1000", "1e300"]),
                ("prompts", ["[\"\"]", "[]", "[\"a\", \"b\"]", "3"]), ("seeds", ["[1]", "[-1]", "[]", "[1, 2]", "[1, 1]"]),
                ("sampler", ["\"euler\"", "\"ddim\"", "\"dpmpp_sde\"", "\"x\""]), ("guidance_scale", ["1", "7.5",
                    "1e39", "-3"]),
                ("clip_skip", ["1", "99"]), ("prediction", ["\"v_prediction\"", "\"x\""]), ("strength", ["0.5", "2", "1"]),
                ("steer", ["[]", "[{}]",
                    "[{\"layer\": \"\(layer)\", \"feature\": 7, \"sae\": 0, \"edit\": \"clamp\", \"strength\": 3}]",
                    "[{\"layer\": \"conv_in\", \"channel\": 3, \"strength\": 1e30}]",
                    "[{\"layer\": \"conv_in\", \"direction\": [], \"strength\": 1}]"]),
                ("record", ["[]", "[{\"layer\": \"conv_in\", \"form\": \"maps\"}]", "[{\"layer\": \"\"}]"]),
            ], always: 3)
        let isStarted = dice.once(in: 3)
        let picture = isStarted ? dice.room(8 * 8 * 3, of: UInt8.self) : nil
        let shape = dice.shape([8, 8])
        let saes = dice.numbers([someAutoencoder()])
        let count = dice.once(in: 20) ? dice.pick([-1, Int32.max, 0]) : 1
        let model = someModel()
        result("lvo_model_generate") {
            lvo_model_generate(
                model, settings, picture, shape, saes, count, progress, model.map { UnsafeMutableRawPointer($0) }, $0, $1)
        }
    }

    func dream() {
        let settings = dice.object(
            [
                ("layer", ["\"\(layer)\"", "\"conv_in\"", "\"\"", "7"]),
                ("objectives", ["[{\"channel\": 3}]", "[{\"feature\": 7, \"sae\": 0}]", "[]",
                    "[[{\"channel\": 1}, {\"channel\": 99}]]",
                    "[{\"channel\": -1}]", "[{\"direction\": [1, 2]}]", "{}"]),
                ("timesteps", ["[301]", "[0, 999]", "[1000]", "[]", "[1.5]"]), ("steps", ["1", "2", "0"]),
                ("seeds", ["[1]", "[1, 2]", "[-1]"]), ("preset", ["\"raw\"", "\"sae\"", "\"tuned\"", "\"x\""]),
                ("width", ["8", "16", "7"]), ("height", ["8", "12"]), ("init", ["\"noise\"", "\"latents\"",
                    "\"pool:0\"", "\"x\""]),
                ("every", ["1", "0"]), ("batch", ["1", "0"]), ("display", ["\"stretch\"", "3"]), ("decode",
                    ["false", "true", "1"]),
                ("coupling", ["\"independent\"", "\"coupled\""]), ("diversity", ["1", "-1"]), ("learning_rate",
                    ["1000", "0", "1e-9"]),
                ("where", ["\"peak\"", "\"0,0\"", "\"99,99\"", "\"mask:/\""]), ("redraws", ["0", "-1"]),
                    ("noise_draws", ["2", "0"]),
                ("timestep_spread", ["100", "-1"]), ("robustness", ["3", "4"]), ("jitter", ["3"]), ("total_variation", ["1e6"]),
            ], always: 8)
        // Without it, pictures are drawn to start from.
        if !settings.contains("\"init\"") { return }
        let start = dice.once(in: 4) ? dice.floats(4 * 2 * 2) : nil
        let shape = dice.shape([1, 4, 2, 2])
        let saes = dice.numbers([someAutoencoder()])
        let model = someModel()
        result("lvo_model_dream") {
            lvo_model_dream(
                model, settings, start, shape, saes, saes == nil ? 0 : 1, progress,
                    model.map { UnsafeMutableRawPointer($0) }, $0, $1)
        }
    }
}
