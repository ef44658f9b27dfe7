import Files

/// Which judge looks at a model's pictures.
public enum JudgeReference: Sendable, Equatable {
    case none
    /// The embedded model's, for that model alone: its judge has seen no other's pictures.
    case embedded
    /// A file.
    case file(String)

    /// `none`, `embedded` or a path.
    public init(_ text: String) {
        self = text == Judge.none ? .none : text == EmbeddedModel.name ? .embedded : .file(text)
    }

    /// The judge's file for a model; nil if none is meant for it.
    ///
    /// - Throws: a `Failure` for files that cannot be read.
    package func path(_ session: ModelSession) throws -> String? {
        switch self {
        case .none: nil
        case .embedded: try session.isEmbeddedModel ? EmbeddedModel.judge() : nil
        case .file(let path): session.reference.resolved(path)
        }
    }
}

extension ModelSession {
    /// Whether it is the embedded model by its contents, wherever it lies; a LoRA or another VAE makes it another.
    ///
    /// - Throws: a `Failure` for files that cannot be read.
    var isEmbeddedModel: Bool {
        get throws {
            // Where the embedded model's files are not beside the program, no model is known to be it.
            guard let folder = try? EmbeddedModel.model() else { return false }
            let embedded = try ModelSession(ModelReference(folder), engine: engine, checksums: checksums)
            return try identity() == embedded.identity()
        }
    }
}
