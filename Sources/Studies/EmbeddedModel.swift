import Foundation
import Tensors

/// The small trained model that comes with the program: a text-to-image latent diffusion model of Stable Diffusion
/// 1.5's own kind, of pictures with known factors (shape, colour, ground, pattern, size, place), and an autoencoder of
/// one of its layers.
public enum EmbeddedModel {
    /// What `--model` and `--sae` take for it.
    public static let name = "embedded"
    /// The layer that the autoencoder is of.
    public static let layer = "up_blocks.2.attentions.1"

    /// Folder in diffusers layout.
    public static func model() throws -> String { try path("shapes") }

    /// Folder of autoencoders, named by layer.
    public static func autoencoders() throws -> String { try path("shapes-sae") }

    /// Captions with their factors, one JSON object a line.
    public static func prompts() throws -> String { try path("prompts.jsonl") }

    /// Beside the executable, where the build and a package put it. (`Bundle.module` ends the process where it finds
    /// nothing.)
    private static func path(_ name: String) throws -> String {
        let executable = Bundle.main.executableURL?.resolvingSymlinksInPath()
        let folder = executable?.deletingLastPathComponent().path ?? "."
        let path = "\(folder)/lvo_Studies.resources/Resources/\(name)"
        guard FileManager.default.fileExists(atPath: path) else {
            throw SimpleFailure(
                .missingInput,
                "\(path): the embedded model is not there; keep lvo_Studies.resources beside the executable")
        }
        return path
    }
}
