import Checkpoints
import Files
import Tensors

/// A VAE from a file or folder of its own: diffusers or LDM names, with or without `first_stage_model.`.
struct SeparateVAE: Sendable {
    let config: ConfigFile
    let weights: WeightStore

    init(path: String) throws {
        if FileSystem.isFolder(path) {
            config = try ConfigFile(path: path + "/config.json")
            weights = try DiffusersFolder.weights(.vae, in: path)
            return
        }
        let file = try WeightFile(path: path)
        let own = file.weights.compactMap { weight -> Weight? in
            let prefix = LDMNames.vaePrefix
            let name = weight.name.hasPrefix(prefix) ? String(weight.name.dropFirst(prefix.count)) : weight.name
            let isPart = ["encoder.", "decoder.", "quant_conv.", "post_quant_conv."].contains { name.hasPrefix($0) }
            return isPart ? weight.renamed(name) : nil
        }
        let (derived, store) = try Self.store(own, file: path)
        config = try ConfigFile(file: path, json: ModelFolderFiles.vae(derived))
        weights = store
    }

    /// Parts of the autoencoder's training that files carry along.
    static func isLeftover(_ name: String) -> Bool { name.hasPrefix("loss.") || name.hasPrefix("model_ema.") }

    /// The tensors under diffusers names, and the sizes that they tell.
    static func store(_ weights: [Weight], file: String) throws -> (VAEConfig, WeightStore) {
        let shapes = weights.shapes
        if let config = VAEConfig(shapes: shapes) {
            return (config, try WeightStore(file: file, weights: weights, naming: ModelComponent.vae))
        }
        guard let config = VAEConfig(ldmShapes: shapes) else {
            throw FileFailure.malformed(file: file, reason: "its VAE lacks tensors that tell its sizes")
        }
        let names = config.manifest.tensors.map { ($0.name, LDMNames.vae($0.name, config)) }
        return (config, try WeightStore(file: file, weights: weights.renamed(names), naming: ModelComponent.vae))
    }

    func component() throws -> ModelSource.Component {
        try weights.verify(ModelComponent.vae.manifest(config))
        return ModelSource.Component(config: config, weights: weights)
    }
}
