import CLVO
import Experiments
import Files
import Ops
import SparseAutoencoders
import StableDiffusion

typealias ModelBox = Box<OpenModel>

extension Box where Content == OpenModel {
    static func of(_ handle: OpaquePointer?) throws -> ModelBox { try of(handle, "model") }
}

@c @implementation
public func lvo_model_open(
    _ settings: UnsafePointer<CChar>?, _ model: UnsafeMutablePointer<OpaquePointer?>?,
    _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        let place = try Argument.place(model, "model")
        place.pointee = ModelBox("model", try OpenModel(Settings(settings, keys: OpenModel.keys))).handle
    }
}

@c @implementation
public func lvo_model_close(_ model: OpaquePointer?, _ error: UnsafeMutablePointer<lvo_error>?) -> Int32 {
    report(to: error) { try ModelBox.of(model).close() }
}

@c @implementation
public func lvo_model_free(_ model: OpaquePointer?) { ModelBox.free(model) }

@c @implementation
public func lvo_model_cancel(_ model: OpaquePointer?, _ error: UnsafeMutablePointer<lvo_error>?) -> Int32 {
    report(to: error) { try ModelBox.of(model).cancel() }
}

@c @implementation
public func lvo_model_describe(
    _ model: OpaquePointer?, _ height: Int32, _ width: Int32,
    _ json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        let place = try Argument.place(json, "json")
        try ModelBox.of(model).take { model, _ in
            let sides = [("height", height), ("width", width)].map { ($0, $1 == 0 ? model.config.sampleSize : Int($1)) }
            for (name, side) in sides where !(1...UNetConfig.largestSide).contains(side) {
                throw Refusal("\(name): expected 1 to \(UNetConfig.largestSide), or 0 for the model's own, found \(side)")
            }
            place.pointee = try model.description(LatentSize(height: sides[0].1, width: sides[1].1)).ownedText
        }
    }
}

@c @implementation
public func lvo_model_tokenize(
    _ model: OpaquePointer?, _ prompt: UnsafePointer<CChar>?,
    _ json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        let place = try Argument.place(json, "json")
        let prompt = try Argument.text(prompt, "prompt")
        try ModelBox.of(model).take { model, _ in
            let config = try TextEncoderConfig(model.folder.config(.textEncoder))
            guard let tokenizer = try model.folder.loadTokenizer(for: config) else {
                throw Refusal(.notFound, "\(model.folder.path): has no tokenizer")
            }
            let encoding = tokenizer.encode(prompt)
            let object: JSON = [
                "ids": .array(encoding.ids.map { .integer(Int($0)) }), "length": .integer(encoding.fullLength),
                "dropped": encoding.dropped.map { .string($0) } ?? .null,
            ]
            place.pointee = object.ownedText
        }
    }
}

@c @implementation
public func lvo_model_encode(
    _ model: OpaquePointer?, _ settings: UnsafePointer<CChar>?, _ result: UnsafeMutablePointer<OpaquePointer?>?,
    _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        let place = try Argument.place(result, "result")
        let settings = try Settings(settings, keys: ["prompts", "clip_skip", "emphasis"])
        let prompts = try settings.strings("prompts") ?? [""]
        guard (1...1024).contains(prompts.count) else {
            throw settings.bad("prompts", "1 to 1024 prompts", "\(prompts.count)")
        }
        let (skip, emphasis) = (try settings.clipSkip(), try settings.bool("emphasis") ?? false)
        try ModelBox.of(model).take { model, _ in
            let encoder = try model.promptEncoder()
            let encoded = emphasis
                ? try encoder.encodeEmphasized(prompts, clipSkip: skip) : try encoder.encode(prompts, clipSkip: skip)
            let contents = ResultContents([
                "ids": .array(encoded.ids.map { .array($0.map { .integer($0) }) }),
                "dropped": .array(encoded.dropped.map { $0.map { .string($0) } ?? .null }),
            ])
            contents.add("context", encoded.context)
            place.pointee = ResultBox(contents).handle
        }
    }
}

extension Settings {
    /// Layers of the text encoder that are left out.
    func clipSkip() throws -> Int { try int("clip_skip", in: 0...1000) ?? 0 }
}

extension OpenModel {
    /// What `lvo_model_describe` tells.
    func description(_ size: LatentSize) throws -> JSON {
        var object = JSONObject()
        let reference = session.reference
        object["version"] = .string(Release.version)
        object["name"] = .string(session.name)
        object["model"] = .string(reference.model)
        object["vae"] = reference.vae.map { .string($0) } ?? .null
        object["loras"] = .array(reference.loras.map { ["path": .string($0.path), "scale": .float($0.scale)] })
        object["precision"] = .string(engine.precision.rawValue)
        object["instruction_set"] = .string(engine.kernels.instructionSet)
        object["threads"] = .integer(engine.threads.count)
        object["has_text_encoder"] = .bool(folder.hasComponent(.textEncoder))
        object["has_vae"] = .bool(folder.hasComponent(.vae))
        object["latent_channels"] = .integer(config.inChannels)
        object["latent_size"] = [.integer(config.sampleSize), .integer(config.sampleSize)]
        object["pixel_factor"] = .integer(try folder.pixelFactor())
        object["context_width"] = .integer(config.contextWidth)
        let length = folder.hasComponent(.textEncoder) ? try TextEncoderConfig(folder.config(.textEncoder)).positions : nil
        object["context_length"] = length.map { .integer($0) } ?? .null
        object["prediction_type"] = .string(scheduler.prediction.rawValue)
        object["alphas_cumprod"] = .array(schedule.alphasCumprod.map { .float($0) })
        object["sampler"] = scheduler.samplerName.map { .string($0.rawValue) } ?? .null
        object["samplers"] = .array(SamplerName.allCases.map { .string($0.rawValue) })
        object["default_steps"] = .integer(GenerationParameters().steps)
        object["default_guidance_scale"] = .float(GenerationParameters().guidanceScale)
        object["layers"] = try layers(size)
        object["unused_lora_keys"] = .array(folder.source.unusedLoRAKeys.map { .string($0) })
        return .object(object)
    }

    private func layers(_ size: LatentSize) throws -> JSON {
        let hooks = config.hookPoints()
        let costs = config.costs(to: hooks, size)
        let whole = Double(max(1, costs.last?.flops ?? 1))
        let root = try session.reference.autoencoderPath()
        return .array(
            zip(hooks, costs).map { hook, cost in
                let map = hook.map(height: size.height, width: size.width)
                let autoencoder = root.flatMap { try? AutoencoderFolder.find(in: $0, layer: hook.name) }
                return [
                    "name": .string(hook.name), "channels": .integer(hook.channels), "height": .integer(map.height),
                    "width": .integer(map.width), "flops": .integer(cost.flops),
                    "cost": .number(Double(cost.flops) / whole), "parameters": .integer(cost.parameters),
                    "layout": .string(isMap(hook) ? "maps" : "tokens"),
                    "autoencoder": autoencoder.flatMap { $0 == root ? nil : .string($0) } ?? .null,
                ]
            })
    }

    /// Whether diffusers has the activation as a map: everything but what is inside a transformer.
    private func isMap(_ hook: HookPoint) -> Bool {
        hook.inner == .output || hook.inner == .projIn && !config.linearProjection
    }
}
