import Checkpoints
import Files

/// The sizes that decide which tensors a CLIP text encoder has (`CLIPTextModel`).
public struct TextEncoderLayout: Sendable, Equatable {
    public var vocabularySize: Int
    public var positions: Int
    public var width: Int
    public var innerWidth: Int
    public var layers: Int

    public static let sd15 = TextEncoderLayout(
        vocabularySize: 49408, positions: 77, width: 768, innerWidth: 3072, layers: 12)

    public init(vocabularySize: Int, positions: Int, width: Int, innerWidth: Int, layers: Int) {
        self.vocabularySize = vocabularySize
        self.positions = positions
        self.width = width
        self.innerWidth = innerWidth
        self.layers = layers
    }

    public init(_ config: ConfigFile) throws(FileFailure) {
        vocabularySize = try config.size("vocab_size", default: 49408)
        positions = try config.size("max_position_embeddings", default: 77)
        width = try config.size("hidden_size", default: 512)
        innerWidth = try config.size("intermediate_size", default: 2048)
        layers = try config.size("num_hidden_layers", default: 12)
        guard layers <= 1024 else {
            throw config.bad("num_hidden_layers", expected: "at most 1024", found: "\(layers)")
        }
    }

    /// Every tensor, with the `text_model.` prefix: `WeightStore` reads files with and without it.
    public var manifest: Manifest {
        var manifest = Manifest()
        manifest.tensor("text_model.embeddings.token_embedding.weight", [vocabularySize, width])
        manifest.tensor("text_model.embeddings.position_embedding.weight", [positions, width])
        for index in 0..<layers {
            let layer = "text_model.encoder.layers.\(index)"
            for part in ["k_proj", "v_proj", "q_proj", "out_proj"] {
                manifest.linear("\(layer).self_attn.\(part)", width, width)
            }
            manifest.norm(layer + ".layer_norm1", width)
            manifest.linear(layer + ".mlp.fc1", width, innerWidth)
            manifest.linear(layer + ".mlp.fc2", innerWidth, width)
            manifest.norm(layer + ".layer_norm2", width)
        }
        manifest.norm("text_model.final_layer_norm", width)
        return manifest
    }
}
