import Files
import Ops
import SparseAutoencoders
import StableDiffusion
import Tensors

/// Activations of layers while pictures are drawn: what sparse autoencoders are trained on. Picture `index` is prompt
/// `index mod prompts`; each further round through the prompts draws with new seeds.
public final class GeneratedActivations: PictureActivations {
    public let layers: [(name: String, width: Int, positions: Int)]
    /// U-Net calls of a picture, and so maps of a layer: PNDM makes one more than its steps.
    public let mapsPerPicture: Int
    /// The time steps of a picture's maps.
    public private(set) var timesteps: [Int] = []
    public let origin: JSON
    private let generator: Generator
    private let points: [HookPoint]
    private let prompts: [Prompt]
    private let parameters: GenerationParameters
    private let half: GuidanceHalf
    private let seed: Int
    private let limit: Int?
    private let progress: (_ picture: Int, _ call: Int, _ calls: Int) throws -> Void

    /// - Parameters:
    ///   - parameters: size, steps, sampler and guidance; prompt and seed are replaced.
    ///   - half: which of guidance's two samples is recorded.
    ///   - limit: pictures in all; nil: without end.
    ///   - model: tells the model from others, for `origin`.
    ///   - progress: called after every U-Net call of a picture; may throw to stop.
    /// - Throws: `SimpleFailure(.usage)` for a layer there is none of, or a size that cannot be.
    public init(
        _ generator: Generator, layers names: [String], prompts: [Prompt], parameters: GenerationParameters,
        half: GuidanceHalf = .conditional, seed: Int, limit: Int? = nil, model: String = "",
        progress: @escaping (_ picture: Int, _ call: Int, _ calls: Int) throws -> Void = { _, _, _ in }
    ) throws {
        precondition(!prompts.isEmpty, "no prompts")
        let points = try names.map { try generator.unet.config.hookPoint($0) }
        mapsPerPicture = try generator.scheduler.sampler(parameters.sampler, steps: parameters.steps).timesteps.count
        let size = try generator.size(parameters)
        let (height, width) = (size.height / generator.pixelFactor, size.width / generator.pixelFactor)
        layers = points.map { point in
            let shape = point.shape(batch: 1, height: height, width: width)
            return (point.name, shape[2], shape[1])
        }
        (self.generator, self.points, self.prompts, self.parameters) = (generator, points, prompts, parameters)
        (self.half, self.seed, self.limit, self.progress) = (half, seed, limit, progress)
        var origin = JSONObject()
        origin["model"] = .string(model)
        origin["prompts"] = .string(Fingerprint.of(.array(prompts.map { .string($0.text) })))
        origin["picture_seed"] = .integer(seed)
        origin["sampler"] = .string(parameters.sampler?.rawValue ?? "the model's")
        origin["sampler_steps"] = .integer(parameters.steps)
        origin["guidance_scale"] = .float(parameters.guidanceScale)
        origin["half"] = .string(half.rawValue)
        origin["size"] = [.integer(size.width), .integer(size.height)]
        self.origin = .object(origin)
    }

    public func picture(_ index: Int) throws -> [[Tensor]]? {
        if let limit, index >= limit { return nil }
        let prompt = prompts[index % prompts.count]
        var parameters = parameters
        parameters.prompt = prompt.text
        parameters.seed = UInt64(prompt.seed(study: seed, image: index / prompts.count))
        var maps = [[Tensor]](repeating: [], count: points.count)
        var times: [Int] = []
        let half = parameters.isGuided ? half : .conditional
        let hooks = points.enumerated().map { layer, point in
            GenerationHook(at: point) { pass, activation in
                guard let sample = pass.halves.firstIndex(of: half) else { return nil }
                let map = activation.slice(sample..<sample + 1).reshaped([activation.shape[1], point.channels])
                maps[layer].append(map.copy())
                if layer == 0 { times.append(Int(pass.timestep)) }
                return nil
            }
        }
        _ = try generator.latent(parameters, hooks: hooks) { try progress(index, $0, $1) }
        timesteps = times
        return maps
    }
}
