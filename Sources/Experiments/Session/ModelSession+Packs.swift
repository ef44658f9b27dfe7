import Files
import StableDiffusion

extension ModelSession {
    /// The files that networks are loaded from; those of a large model with their filters kept packed.
    ///
    /// - Throws: a `Failure` for files that cannot be read.
    package func loadable() throws -> ModelFolder {
        if let knownLoadable { return knownLoadable }
        var loadable = folder
        if let packs, try folder.weightBytes(precision: engine.precision) >= smallestPacked {
            loadable = folder.keeping(try NetworkPacks(packs, model: folder.path, contents: packedContents()))
        }
        knownLoadable = loadable
        return loadable
    }

    /// What each component's weights depend on: its files, and the LoRAs in their order.
    private func packedContents() throws -> [ModelComponent: JSON] {
        let parts = try identity().json.object ?? JSONObject()
        let loras = JSON.array(
            parts.filter { $0.key.hasPrefix("lora:") }.map { [.string($0.key), $0.value] })
        let components = ModelComponent.allCases.filter(folder.hasComponent)
        return Dictionary(
            uniqueKeysWithValues: components.map { component in
                let own = parts[component.rawValue] ?? .null
                return (component, component == .vae ? own : [own, loras])
            })
    }
}
