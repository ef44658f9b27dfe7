import Checkpoints
import Files
import Tensors

/// The three networks of a Stable Diffusion 1.x model; the raw value is the folder's name.
public enum ModelComponent: String, Sendable, CaseIterable, TensorNaming {
    case unet
    case vae
    case textEncoder = "text_encoder"

    /// The weights file in the component's folder, without its extension.
    public var weightsName: String { self == .textEncoder ? "model" : "diffusion_pytorch_model" }

    /// Every tensor that the component must have under `config`.
    /// - Throws: `FileFailure.badKey` for sizes that are out of range.
    public func manifest(_ config: ConfigFile) throws(FileFailure) -> Manifest {
        switch self {
        case .unet: try UNetConfig(sizesOf: config).manifest
        case .vae: try VAEConfig(sizesOf: config).manifest
        case .textEncoder: try TextEncoderConfig(sizesOf: config).manifest
        }
    }

    /// Whether such a tensor occurs in files without being part of the model: buffers that libraries once saved, and
    /// the projection that CLIP has but Stable Diffusion does not use.
    public func isLeftover(_ name: String) -> Bool {
        name.hasSuffix("position_ids") || name.hasPrefix("model_ema.") || name == "text_projection.weight"
    }

    /// The name and shape under which the model asks for a tensor that files call otherwise.
    ///
    /// Text encoders occur without the `text_model.` prefix. VAE attention occurs as `query`, `key`, `value`,
    /// `proj_attn` and as 1×1 convolutions instead of linear layers.
    public func normalized(_ weight: Weight) -> Weight {
        switch self {
        case .unet: return weight
        case .textEncoder:
            let bare =
                weight.name.hasPrefix("embeddings.") || weight.name.hasPrefix("encoder.")
                || weight.name.hasPrefix("final_layer_norm.")
            return bare ? weight.renamed("text_model." + weight.name) : weight
        case .vae:
            guard weight.name.contains(".mid_block.attentions.0.") else { return weight }
            let parts = weight.name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
            let old = ["query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"]
            let name = parts.map { old[$0] ?? $0 }.joined(separator: ".")
            let shape = weight.shape
            let isPointwise = shape.count == 4 && shape[2] == 1 && shape[3] == 1
            return weight.renamed(name, shape: isPointwise ? Array(shape.prefix(2)) : shape)
        }
    }
}
