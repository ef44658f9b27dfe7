import CLVO
import Experiments
import Files
import Ops
import Parallel
import Pictures
import StableDiffusion
import Tensors
import Visualization

/// Pictures as a call asks for them.
private struct GenerationRequest {
    let pictures: [GenerationParameters]
    let prediction: PredictionType?
    let steering: [Settings]
    let recordings: [Recording]
    let start: Bitmap?

    static let keys = [
        "prompts", "negative_prompt", "seeds", "steps", "guidance_scale", "sampler", "width", "height", "clip_skip", "emphasis",
        "prediction", "strength", "steer", "record",
    ]
    private static let mostPictures = 1 << 16

    init(_ settings: Settings, start: Bitmap?) throws {
        let (prompts, seeds) = (try settings.strings("prompts") ?? [""], try settings.seeds("seeds") ?? [0])
        guard !prompts.isEmpty, prompts.count * seeds.count <= Self.mostPictures else {
            throw settings.bad("prompts", "1 to \(Self.mostPictures) pictures in all", "\(prompts.count * seeds.count)")
        }
        if start == nil, settings["strength"] != nil { throw settings.bad("strength", "a picture to start from", "none") }
        let common = try Self.parameters(settings)
        pictures = prompts.flatMap { prompt in
            seeds.map { seed in
                var parameters = common
                (parameters.prompt, parameters.seed) = (prompt, seed)
                return parameters
            }
        }
        prediction = try settings.choice("prediction")
        steering = try settings.objects("steer", keys: Steering.keys)
        recordings = try settings.objects("record", keys: ["layer", "space", "form", "timesteps"]).map { recording in
            try Recording(
                layer: recording.needed("layer", recording.string("layer")), space: recording.choice("space") ?? .channels,
                form: recording.choice("form") ?? .means, timesteps: recording.timesteps("timesteps"))
        }
        let names = recordings.map(\.name)
        if let twice = names.first(where: { name in names.count { $0 == name } > 1 }) {
            throw settings.bad("record", "each kind of recording once", "\(twice) twice")
        }
        self.start = start
    }

    private static func parameters(_ settings: Settings) throws -> GenerationParameters {
        var parameters = GenerationParameters()
        parameters.negativePrompt = try settings.string("negative_prompt") ?? ""
        parameters.steps = try settings.int("steps", in: 1...1_000_000) ?? parameters.steps
        parameters.guidanceScale = try settings.float("guidance_scale") ?? parameters.guidanceScale
        parameters.sampler = try settings.choice("sampler")
        parameters.width = try settings.int("width", in: 1...1 << 20)
        parameters.height = try settings.int("height", in: 1...1 << 20)
        parameters.clipSkip = try settings.clipSkip()
        parameters.emphasis = try settings.bool("emphasis") ?? false
        parameters.strength = try settings.double("strength") ?? parameters.strength
        return parameters
    }
}

extension OpenModel {
    /// - Throws: `Refusal` for latents that cannot be computed with, `MemoryShortage`.
    fileprivate func check(_ parameters: GenerationParameters, recordings: [Recording], calls: Int, count: Int) throws {
        let factor = try folder.pixelFactor()
        let (height, width) = ((parameters.height ?? 0) / factor, (parameters.width ?? 0) / factor)
        let size = LatentSize(batch: parameters.isGuided ? 2 : 1, height: height, width: width)
        try Pass.checkPositions(size, "size")
        try session.checkForward(to: hook("conv_out"), size)
        try session.checkPicture(height: height * factor, width: width * factor)
        let recorded = try recordings.reduce(0) { sum, recording in
            let (hook, isMap) = (try hook(recording.layer), recording.form == .maps)
            let columns = recording.space == .channels ? hook.channels : try session.autoencoder(recording.layer).numLatents
            return sum + 4 * calls * columns * (isMap ? hook.shape(batch: 1, height: height, width: width)[1] : 1)
        }
        try checkRoom(count * (recorded + height * width * (4 * config.inChannels + 3 * factor * factor)))
    }

    /// - Throws: `Refusal(.outOfMemory)` for results that do not fit into what is free.
    func checkRoom(_ bytes: Int) throws {
        guard let free = Machine().availableMemory, bytes > free else { return }
        throw Refusal(.outOfMemory, "the results take \(bytes >> 20) MB, and \(free >> 20) MB are free; ask for fewer at once")
    }
}

@c @implementation
public func lvo_model_generate(
    _ model: OpaquePointer?, _ settings: UnsafePointer<CChar>?, _ picture: UnsafePointer<UInt8>?,
    _ picture_shape: UnsafePointer<Int64>?, _ saes: UnsafePointer<OpaquePointer?>?, _ sae_count: Int32,
    _ progress: lvo_progress?, _ user: UnsafeMutableRawPointer?, _ result: UnsafeMutablePointer<OpaquePointer?>?,
    _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        let place = try Argument.place(result, "result")
        let settings = try Settings(settings, keys: GenerationRequest.keys)
        let request = try GenerationRequest(settings, start: bitmap(picture, picture_shape))
        try ModelBox.of(model).take { model, turn in
            let autoencoders = try GivenAutoencoders(saes, sae_count, model.session)
            let drawn = try model.draw(request, autoencoders, Progress(function: progress, user: user), turn)
            place.pointee = ResultBox(drawn).handle
        }
    }
}

private func bitmap(_ picture: UnsafePointer<UInt8>?, _ shape: UnsafePointer<Int64>?) throws -> Bitmap? {
    guard let picture else { return nil }
    let shape = try Argument.shape(shape, axes: 2, "picture", "[height, width]")
    guard shape[0] <= 1 << 15, shape[1] <= 1 << 15 else {
        throw Refusal("picture: expected at most 32768×32768, found \(shape)")
    }
    let pixels = UnsafeBufferPointer(start: picture, count: shape[0] * shape[1] * 3)
    return Bitmap(width: shape[1], height: shape[0], pixels: Array(pixels))
}

extension OpenModel {
    fileprivate func draw(
        _ request: GenerationRequest, _ autoencoders: GivenAutoencoders, _ progress: Progress, _ turn: Turn
    ) throws -> ResultContents {
        let drawing = try PictureDrawing(
            session, prediction: request.prediction, start: request.start,
            steering: request.steering.map { try Steering($0, autoencoders) }, recordings: request.recordings,
            software: "lvo \(Release.version)")
        let wanted = try request.pictures.map(drawing.sized)
        let calls = try drawing.calls(wanted[0])
        try check(wanted[0], recordings: request.recordings, calls: calls, count: wanted.count)
        var done = 0
        let pictures = try wanted.enumerated().map { index, parameters in
            try drawing.draw(parameters) {
                done += 1
                try turn.check()
                try progress.report(
                    done, of: calls * wanted.count,
                    [
                        "picture": .integer(index), "prompt": .string(parameters.prompt),
                        "seed": .integer(Int(clamping: parameters.seed)),
                    ])
            }
        }
        let contents = ResultContents(["pictures": .array(zip(pictures, wanted).map { json($0, $1, drawing) })])
        contents.add(pictures, request.recordings)
        return contents
    }

    private func json(_ picture: Picture, _ parameters: GenerationParameters, _ drawing: PictureDrawing) -> JSON {
        let dropped = parameters.emphasis ? nil : drawing.dropped(of: parameters.prompt)
        return [
            "prompt": .string(parameters.prompt), "seed": .integer(Int(clamping: parameters.seed)),
            "width": .integer(picture.bitmap.width), "height": .integer(picture.bitmap.height),
            "parameters": .string(picture.text), "dropped": dropped.map { .string($0) } ?? .null,
        ]
    }
}

extension ResultContents {
    /// Bytes `[n, H, W, 3]`.
    func add(_ name: String, _ bitmaps: [Bitmap]) {
        guard let first = bitmaps.first else { return }
        add(name, shape: [bitmaps.count, first.height, first.width, 3], bitmaps.map(\.pixels))
    }

    /// Tensors of one shape, one after the other along their first axis.
    func add(_ name: String, joining tensors: [Tensor]) {
        guard let first = tensors.first else { return }
        let joined = Tensor([tensors.reduce(0) { $0 + $1.shape[0] }] + first.shape.dropFirst())
        var target = joined.pointer
        for tensor in tensors {
            target.update(from: tensor.pointer, count: tensor.count)
            target += tensor.count
        }
        add(name, joined)
    }

    fileprivate func add(_ pictures: [Picture], _ recordings: [Recording]) {
        add("latents", joining: pictures.map(\.latent))
        add("pictures", pictures.map(\.bitmap))
        for (number, picture) in pictures.enumerated() {
            for (name, tensor) in picture.activations {
                guard let index = recordings.firstIndex(where: { name.hasPrefix($0.name) }) else { continue }
                let isTimesteps = name != recordings[index].name
                add("record/\(index)/\(number)" + (isTimesteps ? "/timesteps" : ""), tensor)
            }
        }
    }
}
