import Checkpoints
import Files

/// A Stable Diffusion 1.x model wherever it lies: a diffusers folder or a single file in the original naming, with an
/// optional other VAE and LoRAs to merge. Opening reads headers only; weights are read as layers take them.
public struct ModelSource: Sendable {
    /// One network: its configuration and its tensors, checked against each other.
    public struct Component: Sendable {
        /// Its `config.json`, or what stands for that in a single file.
        public let config: ConfigFile
        /// Its tensors under diffusers' names.
        public let weights: WeightStore
    }

    /// What was opened.
    public let path: String
    /// The folder with the tokenizer's files, if there is one.
    public let tokenizerFolder: String?
    private let base: any ModelContainer
    private let separateVAE: SeparateVAE?
    private let loras: LoRASet
    /// Words of their own for prompts.
    public let embeddings: [TextualInversion]

    /// - Parameters:
    ///   - path: a diffusers folder, or a `.safetensors` or `.ckpt` file.
    ///   - vae: a VAE file or folder to use instead of the model's own.
    ///   - loras: files with the scale each is merged at.
    ///   - embeddings: textual inversions.
    /// - Throws: `FileFailure`; for a model of another family it names the family.
    public init(
        path: String, vae: String? = nil, loras: [(path: String, scale: Float)] = [],
        embeddings: [TextualInversion] = []
    ) throws {
        guard FileSystem.isFolder(path) || FileSystem.isFile(path) else {
            throw FileFailure.cannotRead(file: path, reason: "no such folder or file")
        }
        self.path = path
        base = FileSystem.isFolder(path) ? try DiffusersFolder(path: path) : try SingleFile(path: path)
        tokenizerFolder = base.tokenizerFolder
        separateVAE = try vae.map { try SeparateVAE(path: $0) }
        self.loras = loras.isEmpty ? LoRASet() : try LoRASet(loras, for: base)
        self.embeddings = embeddings
        if !embeddings.isEmpty { try checkWidths() }
    }

    private func checkWidths() throws {
        let width = try TextEncoderConfig(config(.textEncoder)).width
        for embedding in embeddings where embedding.width != width {
            throw FileFailure.unsupported(
                file: embedding.path, found: "vectors of \(embedding.width) numbers, the text encoder has \(width)",
                advice: "an embedding must be made for Stable Diffusion 1.x")
        }
    }

    /// `scheduler_config.json`; where there is none, Stable Diffusion 1.5's with the file's prediction type.
    public func scheduler() throws -> ConfigFile { try base.scheduler() }

    /// Whether the model has that network, or another VAE was given.
    public func hasComponent(_ component: ModelComponent) -> Bool {
        base.hasComponent(component) || component == .vae && separateVAE != nil
    }

    /// A component's configuration, without looking at its weights where it is in a file of its own.
    ///
    /// - Throws: `MissingComponent` if the model has none.
    public func config(_ component: ModelComponent) throws -> ConfigFile {
        if component == .vae, let separateVAE { return separateVAE.config }
        guard base.hasComponent(component) else { throw MissingComponent(path: path, component: component) }
        return try base.config(component)
    }

    /// A component with LoRAs merged; missing, extra and misshapen tensors have been refused.
    public func component(_ component: ModelComponent) throws -> Component {
        if component == .vae, let separateVAE { return try separateVAE.component() }
        let config = try self.config(component)
        let weights = try base.weights(component)
        try weights.verify(component.manifest(config))
        return Component(config: config, weights: weights.edited(loras.edits(component)))
    }

    /// A component's tensors as they lie in the model's or the VAE's own files: not verified, no LoRA merged.
    package func storedWeights(_ component: ModelComponent) throws -> WeightStore {
        if component == .vae, let separateVAE { return separateVAE.weights }
        return try base.weights(component)
    }

    /// Keys of the LoRA files that fit nothing in this model: `FILE: KEY`.
    public var unusedLoRAKeys: [String] { loras.unused }

    /// Tensors of single files that belong to none of the three networks (EMA copies, training state).
    public var leftovers: [String] { base.leftovers }
}

/// A model that lacks one of its networks.
public struct MissingComponent: Failure {
    /// The folder or file of the model.
    public let path: String
    /// The network that it lacks.
    public let component: ModelComponent

    /// `.missingInput`: exit status 66.
    public var kind: FailureKind { .missingInput }

    public var description: String {
        switch component {
        case .unet: "\(path): it has no U-Net, which nothing else can stand for"
        case .vae: "\(path): it has no VAE; a VAE of another file or folder must be given"
        case .textEncoder: "\(path): it has no text encoder; without one nothing can be made from prompts"
        }
    }
}

/// Where the parts of a model are found.
protocol ModelContainer: Sendable {
    var leftovers: [String] { get }
    var tokenizerFolder: String? { get }
    func scheduler() throws -> ConfigFile
    func hasComponent(_ component: ModelComponent) -> Bool
    func config(_ component: ModelComponent) throws -> ConfigFile
    /// All tensors of a component, not yet compared with its configuration.
    func weights(_ component: ModelComponent) throws -> WeightStore
}

extension FileSystem {
    /// The folder `tokenizer` in `folder`, if it has a vocabulary.
    static func tokenizer(in folder: String) -> String? {
        let path = folder + "/tokenizer"
        return TokenizerFolder.isOne(path) ? path : nil
    }

    /// A file's name without folders and ending.
    static func stem(_ path: String) -> String {
        let name = path.split(separator: "/").last ?? path[...]
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return String(name) }
        return String(name[..<dot])
    }
}
