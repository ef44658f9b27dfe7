import Files
import Pictures
import StableDiffusion
import Tensors

/// Draws pictures with one model: from prompts, or from a picture and prompts; steered, and with activations
/// recorded.
public struct PictureDrawing {
    private let session: ModelSession
    private let generator: Generator
    private let decoder: VAEDecoder
    private let start: (picture: Bitmap, encoder: VAEEncoder)?
    private let steering: [Steering]
    private let hooks: [GenerationHook]
    private let recordings: [Recording]
    private let software: String

    /// Loads the networks.
    ///
    /// - Parameters:
    ///   - prediction: overrides the meaning of the U-Net's output; nil: as the model says.
    ///   - start: the picture of image to image.
    ///   - software: the program named in a picture's parameters.
    /// - Throws: `SimpleFailure(.usage)` for edits and recordings that the model's layers do not have; a
    ///   `Failure` for a part of the model that is missing or damaged.
    public init(
        _ session: ModelSession, prediction: PredictionType? = nil, start: Bitmap? = nil, steering: [Steering] = [],
        recordings: [Recording] = [], software: String = "lvo"
    ) throws {
        (self.session, self.steering, self.recordings, self.software) = (session, steering, recordings, software)
        hooks = try steering.map { try $0.hook(session) }
        for recording in recordings { _ = try recording.recorder(session) }
        let own = try session.generator()
        var scheduler = own.scheduler
        scheduler.prediction = prediction ?? scheduler.prediction
        generator = Generator(
            prompts: own.prompts, unet: own.unet, scheduler: scheduler, pixelFactor: own.pixelFactor)
        decoder = try session.decoder()
        self.start = try start.map { ($0, try session.loadable().loadVAEEncoder(engine: session.engine)) }
    }

    /// The parameters with the size that is drawn. Image to image keeps the picture's, cut to what the VAE
    /// can halve, unless another is asked for.
    ///
    /// - Throws: `SimpleFailure(.usage)` for a size that cannot be.
    public func sized(_ parameters: GenerationParameters) throws -> GenerationParameters {
        var sized = parameters
        if let picture = start?.picture {
            let factor = generator.pixelFactor
            sized.width = parameters.width ?? max(factor, picture.width / factor * factor)
            sized.height = parameters.height ?? max(factor, picture.height / factor * factor)
        }
        let (width, height) = try generator.size(sized)
        (sized.width, sized.height) = (width, height)
        return sized
    }

    /// The number of U-Net calls for a picture.
    ///
    /// - Throws: `SimpleFailure(.usage)` for steps or a strength that cannot be.
    public func calls(_ parameters: GenerationParameters) throws -> Int {
        try generator.calls(parameters, fromPicture: start != nil)
    }

    /// The end of a prompt that does not fit the text encoder; nil if all of it fits.
    public func dropped(of prompt: String) -> String? { generator.prompts.tokenizer?.encode(prompt).dropped }

    /// - Parameter progress: called after every U-Net call; what it throws ends the picture.
    /// - Throws: what `progress` throws; `SimpleFailure(.usage)` for parameters that cannot be.
    public func draw(_ parameters: GenerationParameters, progress: () throws -> Void = {}) throws -> Picture {
        let parameters = try sized(parameters)
        let recorders = try recordings.map { try $0.recorder(session) }
        let latent = try generator.latent(
            parameters, from: begin(parameters), hooks: recorders.map(\.hook) + hooks) { _, _ in try progress() }
        let recorded = zip(recordings, recorders).map { ($0, $1, $1.stacked()) }
        let bitmap = Bitmap.pictures(decoder.decode(latent))[0]
        return Picture(
            bitmap: bitmap, latent: latent, text: text(parameters, of: bitmap),
            activations: recorded.flatMap { recording, recorder, stacked -> [(name: String, tensor: Tensor)] in
                guard let stacked else { return [] }
                let timesteps = Tensor([recorder.timesteps.count], recorder.timesteps)
                return [(recording.name, stacked), (recording.name + "/timesteps", timesteps)]
            },
            unrecorded: recorded.filter { $0.2 == nil }.map(\.0.layer))
    }

    private func begin(_ parameters: GenerationParameters) throws -> Generator.Start {
        guard let (picture, encoder) = start, let width = parameters.width, let height = parameters.height else {
            return .noise
        }
        return .picture(try encoder.encode(picture.resized(width: width, height: height).tensor()))
    }

    private func text(_ parameters: GenerationParameters, of bitmap: Bitmap) -> String {
        let reference = session.reference
        var extra = [("Model", session.name)]
        let loras = reference.loras.map { "\(FileSystem.name($0.path)):\($0.scale)" }
        if !loras.isEmpty { extra.append(("LoRA", loras.joined(separator: " "))) }
        let words = reference.embeddings.map { FileSystem.name($0.path) + ($0.token.map { ":" + $0 } ?? "") }
        if !words.isEmpty { extra.append(("Embeddings", words.joined(separator: " "))) }
        if let vae = reference.vae { extra.append(("VAE", FileSystem.name(vae))) }
        if !steering.isEmpty { extra.append(("Steering", steering.map(\.text).joined(separator: " "))) }
        if let precision = session.engine.precision.recorded { extra.append(("Precision", precision)) }
        extra.append(("Version", software))
        return ParametersText.text(
            parameters, sampler: generator.scheduler.samplerName ?? .pndm, width: bitmap.width,
            height: bitmap.height, usesPicture: start != nil, extra: extra)
    }
}
