import Files
import Pictures
import Tensors
import Visualization

/// Where dreams start.
public enum DreamStart: Sendable {
    /// `torch.randn` of each seed.
    case noise
    /// Latents `[N, C, h, w]`, one per seed in turn, from the first again when there are more seeds. `file`
    /// is where they were read, for records.
    case latents(Tensor, file: String)
    /// Those of so many pictures that the model draws by itself (`NaturalPool`) that excite an objective most at the
    /// time step: the best for the first seed, the second best for the second one, from the first again when there
    /// are more seeds.
    case pool(Int)

    /// Its name in records.
    var name: String {
        switch self {
        case .noise: "noise"
        case .latents(_, let file): file
        case .pool(let count): "pool:\(count)"
        }
    }
}

/// A request for dreams: every objective at every time step from every seed.
public struct DreamRequest: Sendable {
    /// The hook point's name.
    public var layer: String
    /// What is sought, each by latents of its own.
    public var objectives: [Objective]
    /// Of the schedule's training time steps, from 0.
    public var timesteps: [Int]
    /// One latent for each objective and time step.
    public var seeds: [UInt64]
    /// From noise, or from latents of a file.
    public var start: DreamStart
    /// The text that the U-Net gets.
    public var text: TextSource
    /// Pixels; nil: the model's own size. Latents that are given have their own.
    public var width: Int?
    /// See `width`.
    public var height: Int?
    /// How latents are optimized, and how many steps.
    public var settings: DreamSettings
    /// Latents computed together when they are independent; nil: as many as seeds. Coupled ones are one
    /// batch.
    public var batch: Int?
    /// The mapping from values to colours.
    public var display: DisplayRange
    /// Where the objectives' autoencoder was read from, for the repeating command; nil: where the session's are.
    public var autoencoders: String?

    /// Nothing is checked here: `DreamExperiment` does it, for it knows the model.
    public init(
        layer: String, objectives: [Objective], timesteps: [Int], seeds: [UInt64] = DreamSettings.seeds,
        start: DreamStart = .noise, text: TextSource = TextSource(), width: Int? = nil, height: Int? = nil,
        settings: DreamSettings, batch: Int? = nil, display: DisplayRange = .unit
    ) {
        (self.layer, self.objectives, self.timesteps, self.seeds) = (layer, objectives, timesteps, seeds)
        (self.start, self.text, self.width, self.height) = (start, text, width, height)
        (self.settings, self.batch, self.display) = (settings, batch, display)
    }
}

extension DreamRequest {
    /// Whether the whole U-Net is needed, not only the part up to the layer.
    var needsWholeUNet: Bool { settings.redraws > 0 }
}

/// One result to be made, as indices into the request's lists.
public struct DreamItem: Sendable, Hashable {
    /// Index into the request's `objectives`.
    public let objective: Int
    /// The time step itself, not its index.
    public let timestep: Int
    /// Index into the request's `seeds`.
    public let seed: Int
}

extension Readout {
    /// A direction from a safetensors file with `direction [D]`.
    ///
    /// - Throws: a `Failure` for a file that does not hold one vector of finite numbers.
    public static func direction(file path: String) throws -> Readout {
        let vector = try TensorFile.read(path, name: "direction")
        guard vector.count == vector.channels, vector.array.allSatisfy(\.isFinite) else {
            throw SimpleFailure(.badData, "\(path): direction \(vector.shape), expected [D] of finite numbers")
        }
        let file = path.split(separator: "/").last.map(String.init) ?? path
        let name = file.hasSuffix(".safetensors") ? String(file.dropLast(".safetensors".count)) : file
        return .direction(vector, name: name, file: path)
    }
}
