import Files
import SparseAutoencoders
import StableDiffusion
import Tensors

/// Activations of layers while pictures are drawn, on which sparse autoencoders are trained. Sizes are known
/// at once; the networks are loaded with the first picture.
public final class GeneratedActivations: PictureActivations {
    /// The hook points in the request's order: channels and positions of a map.
    public let layers: [(name: String, width: Int, positions: Int)]
    /// U-Net calls of a picture, and so maps of a layer: PNDM makes one more than its steps.
    public let mapsPerPicture: Int
    /// The time steps of the last picture's maps.
    public private(set) var timesteps: [Int] = []
    /// Model, prompts, seed, sampler and size: what the activations follow from, for the store's record.
    public let origin: JSON
    private let session: ModelSession
    private let points: [HookPoint]
    private let request: CaptureRequest
    private let progress: (_ picture: Int, _ call: Int, _ calls: Int) throws -> Void

    /// - Parameter progress: called after every U-Net call of a picture; what it throws ends the picture.
    /// - Throws: `SimpleFailure(.usage)` for a layer there is none of, a size that cannot be, or nothing to
    ///   record; a `Failure` if the model's files cannot be read, which tell it from others in `origin`.
    public init(
        _ session: ModelSession, _ request: CaptureRequest,
        progress: @escaping (_ picture: Int, _ call: Int, _ calls: Int) throws -> Void = { _, _, _ in }
    ) throws {
        try request.check()
        let (folder, parameters) = (session.folder, request.parameters)
        let points = try request.layers.map(session.hook)
        mapsPerPicture =
            try folder.scheduler().sampler(parameters.sampler, steps: parameters.steps).timesteps.count
        let (height, width) = try folder.latentSize(pixelWidth: parameters.width, pixelHeight: parameters.height)
        layers = points.map { point in
            let shape = point.shape(batch: 1, height: height, width: width)
            return (point.name, shape[2], shape[1])
        }
        (self.session, self.points, self.request, self.progress) = (session, points, request, progress)
        let factor = try folder.pixelFactor()
        origin = try Self.origin(session, request, size: (width * factor, height * factor))
    }

    /// Everything that the activations depend on except the choice of layers.
    private static func origin(
        _ session: ModelSession, _ request: CaptureRequest, size: (width: Int, height: Int)
    ) throws -> JSON {
        let parameters = request.parameters
        var origin: JSON = [
            "model": try session.identity().json,
            "prompts": .string(Fingerprint.of(.array(request.prompts.map { .string($0.text) }))),
            "picture_seed": .integer(request.seed),
            "sampler": .string(parameters.sampler?.rawValue ?? "the model's"),
            "sampler_steps": .integer(parameters.steps),
            "guidance_scale": .float(parameters.guidanceScale),
            "half": .string(request.half.rawValue),
            "size": [.integer(size.width), .integer(size.height)],
        ]
        if parameters.emphasis, case .object(var members) = origin {
            members["emphasis"] = true
            origin = .object(members)
        }
        return origin
    }

    /// Draws a picture and keeps its maps `[N, C]`, `[layer][map]`; nil behind the last one.
    ///
    /// - Throws: a `Failure` of a network that cannot be loaded or a result that is not finite; what `progress` throws.
    public func picture(_ index: Int) throws -> [[Tensor]]? {
        if let limit = request.limit, index >= limit { return nil }
        var maps = [[Tensor]](repeating: [], count: points.count)
        var times: [Int] = []
        let hooks = points.enumerated().map { layer, point in
            GenerationHook(at: point) { [half = request.half] pass, activation in
                guard let sample = pass.halves.firstIndex(of: half) else { return nil }
                let map = activation.slice(sample..<sample + 1).reshaped([activation.shape[1], point.channels])
                maps[layer].append(map.copy())
                if layer == 0 { times.append(Int(pass.timestep)) }
                return nil
            }
        }
        _ = try session.generator().latent(parameters(of: index), hooks: hooks) { try progress(index, $0, $1) }
        timesteps = times
        return maps
    }

    private func parameters(of index: Int) -> GenerationParameters {
        let prompts = request.prompts
        let prompt = prompts[index % prompts.count]
        var parameters = request.parameters
        parameters.prompt = prompt.text
        parameters.seed = UInt64(prompt.seed(study: request.seed, image: index / prompts.count))
        return parameters
    }
}

/// Results of another model are not added to.
enum ModelCheck {
    /// - Parameters:
    ///   - recorded: the origin of what is at `path`; nil: there is none yet.
    ///   - origin: of what is to be added.
    /// - Throws: `SimpleFailure(.usage)` naming the parts of the model that differ.
    static func sameModel(_ recorded: JSON?, _ origin: JSON, at path: String) throws {
        guard let known = recorded?["model"], let model = origin["model"] else { return }
        let changes = ModelIdentity(json: model).changes(from: ModelIdentity(json: known))
        let parts = known.object == nil ? "it does not say which" : "\(changes.joined(separator: ", ")) differ"
        guard known.object != nil, changes.isEmpty else {
            throw SimpleFailure(
                .usage, "\(path): begun with another model (\(parts)); give the same model to go on, or another folder")
        }
    }
}
