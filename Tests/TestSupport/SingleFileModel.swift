import Checkpoints
import Experiments
import Files
import StableDiffusion
import Tensors

/// The embedded model in one file under the original names.
public enum SingleFileModel {
    /// - Parameter factor: what all weights are multiplied by, so that two files differ.
    public static func write(_ path: String, factor: Float = 1) throws {
        let folder = try ModelFolder(EmbeddedModel.model())
        var weights: [Weight] = []
        var configuration = JSONObject()
        for component in ModelComponent.allCases {
            let config = try folder.config(component)
            let store = try folder.weights(component)
            configuration[component.rawValue] = config.json
            for tensor in try component.manifest(config).tensors {
                let values = try store.take(tensor.name, shape: tensor.shape).floats().map { $0 * factor }
                weights.append(
                    Weight(name: try name(tensor.name, component, config), tensor: Tensor(tensor.shape, values)))
            }
        }
        configuration["scheduler"] = try folder.source.scheduler().json
        try SafetensorsWriter.write(
            weights, metadata: ["lvo.config": JSON.object(configuration).serialized()], to: path)
    }

    private static func name(_ name: String, _ component: ModelComponent, _ config: ConfigFile) throws -> String {
        switch component {
        case .unet: LDMNames.unetPrefix + LDMNames.unet(name, try UNetConfig(config))
        case .vae: LDMNames.vaePrefix + LDMNames.vae(name, try VAEConfig(config))
        case .textEncoder: LDMNames.textPrefix + name
        }
    }
}
