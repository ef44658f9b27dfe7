import Files

/// The small trained model that comes with the program: a text-to-image latent diffusion model of Stable
/// Diffusion 1.5's own kind, of pictures with known factors (shape, colour, ground, pattern, size, place),
/// and an autoencoder of one of its layers.
public enum EmbeddedModel {
    /// Its name in place of a path.
    public static let name = "embedded"
    /// The layer that the autoencoder is of.
    public static let layer = "up_blocks.2.attentions.1"

    /// Folder in diffusers layout.
    public static func model() throws -> String { try path("shapes") }

    /// Folder of autoencoders, named by layer.
    public static func autoencoders() throws -> String { try path("shapes-sae") }

    /// Captions with their factors, one JSON object a line.
    public static func prompts() throws -> String { try path("prompts.jsonl") }

    /// What names the pattern and the ground of its pictures, see `Judge`.
    package static func judge() throws -> String { try path("judge.safetensors") }

    /// Pictures that the model draws by itself (`NaturalPool`).
    public static func pool() throws -> String { try path("shapes-pool.safetensors") }

    private static func path(_ name: String) throws -> String {
        try ResourceFile.path(name, module: "Experiments", what: "the embedded model")
    }
}
