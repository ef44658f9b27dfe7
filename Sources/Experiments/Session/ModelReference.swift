import Files

/// A model as a person names it, as records and repeating commands do, with the places of its files.
public struct ModelReference: Sendable, Equatable {
    /// A LoRA file and the scale it is merged at.
    public struct LoRA: Sendable, Equatable {
        /// The file, absolute or from the reference's `base`.
        public var path: String
        /// What the low-rank product is multiplied by before it is added to a weight.
        public var scale: Float

        /// Merged at full scale unless told otherwise.
        public init(path: String, scale: Float = 1) {
            self.path = path
            self.scale = scale
        }

        /// `FILE` or `FILE:SCALE`; the scale is 1 if what follows the last colon is not a number.
        public init(argument: String) {
            if let colon = argument.lastIndex(of: ":"), let scale = Float(argument[argument.index(after: colon)...]) {
                self.init(path: String(argument[..<colon]), scale: scale)
            } else {
                self.init(path: argument)
            }
        }
    }

    /// A textual inversion and the word that prompts say; nil: the file's own.
    public struct Embedding: Sendable, Equatable {
        /// The file, absolute or from the reference's `base`.
        public var path: String
        /// The word that prompts say; nil: the file's own.
        public var token: String?

        /// Under the file's own word unless another is given.
        public init(path: String, token: String? = nil) {
            self.path = path
            self.token = token
        }

        /// `FILE` or `FILE:TOKEN`; a file whose name has a colon wins. Nil if either is empty.
        ///
        /// - Parameter base: the folder that a relative path starts from; nil: the process's own.
        public init?(argument: String, in base: String? = nil) {
            let isWhole = FileSystem.isFile(ModelReference("", base: base).resolved(argument))
            guard !isWhole, let colon = argument.lastIndex(of: ":") else {
                if argument.isEmpty { return nil }
                self.init(path: argument)
                return
            }
            let (path, token) = (argument[..<colon], argument[argument.index(after: colon)...])
            if path.isEmpty || token.isEmpty { return nil }
            self.init(path: String(path), token: String(token))
        }
    }

    /// A folder in diffusers layout, a single `.safetensors` or `.ckpt` file, or `embedded`.
    public var model: String
    /// A VAE file or folder in place of the model's own.
    public var vae: String?
    /// Merged in this order.
    public var loras: [LoRA]
    /// Textual inversions that prompts may name.
    public var embeddings: [Embedding]
    /// Folder of one sparse autoencoder, or of several named by layer, or `embedded`; nil: none.
    public var autoencoders: String?
    /// The folder that relative paths start from; nil: the process's own.
    public var base: String?

    /// Nothing is opened: `ModelSession` does that.
    public init(
        _ model: String, vae: String? = nil, loras: [LoRA] = [], embeddings: [Embedding] = [],
        autoencoders: String? = nil, base: String? = nil
    ) {
        self.model = model
        self.vae = vae
        self.loras = loras
        self.embeddings = embeddings
        self.autoencoders = autoencoders
        self.base = base
    }

    /// A path as this process opens it.
    package func resolved(_ path: String) -> String {
        guard let base, !path.hasPrefix("/") else { return path }
        return "\(base)/\(path)"
    }

    /// The model's folder or file.
    ///
    /// - Throws: `FileFailure.cannotRead` if the embedded model's files are not beside the program.
    package func modelPath() throws -> String {
        model == EmbeddedModel.name ? try EmbeddedModel.model() : resolved(model)
    }

    /// - Throws: as `modelPath`.
    package func autoencoderPath() throws -> String? {
        try autoencoders.map { $0 == EmbeddedModel.name ? try EmbeddedModel.autoencoders() : resolved($0) }
    }

    /// The same with every relative path written from `base` on, as another process can use it.
    public var absolute: ModelReference {
        func whole(_ path: String) -> String { path == EmbeddedModel.name ? path : resolved(path) }
        return ModelReference(
            whole(model), vae: vae.map(whole), loras: loras.map { LoRA(path: whole($0.path), scale: $0.scale) },
            embeddings: embeddings.map { Embedding(path: whole($0.path), token: $0.token) },
            autoencoders: autoencoders.map(whole))
    }
}
