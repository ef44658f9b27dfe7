import Checkpoints
import Files
import Tensors

/// A whole model in one file with the original (LDM) names. Its configuration is derived from tensor shapes.
///
/// What shapes do not tell is Stable Diffusion 1.5's (8 heads, 32 norm groups, scaling factor 0.18215), unless a file
/// `NAME.json` beside `NAME.safetensors` or `NAME.ckpt`, or the safetensors metadata key `lvo.config`, gives an object
/// `{"unet": {…}, "vae": {…}, "text_encoder": {…}, "scheduler": {…}}` whose members replace derived ones.
struct SingleFile: ModelContainer {
    let path: String
    let leftovers: [String]
    let tokenizerFolder: String?
    private let parts: [ModelComponent: [Weight]]
    private let overrides: ConfigFile
    private let predictionType: String
    private let hasZeroTerminalSNR: Bool

    init(path: String) throws {
        self.path = path
        let file = try WeightFile(path: path)
        let family = ModelFamily.recognize(file.weights.shapes)
        guard family == .stableDiffusion1 else {
            throw FileFailure.unsupported(file: path, found: "this is \(family.rawValue)", advice: family.advice)
        }
        var parts: [ModelComponent: [Weight]] = [:]
        var leftovers: [String] = []
        for weight in file.weights {
            if let (component, name) = Self.place(weight.name) {
                parts[component, default: []].append(weight.renamed(name))
            } else {
                leftovers.append(weight.name)
            }
        }
        self.parts = parts
        self.leftovers = leftovers.sorted()
        predictionType = try Self.predictionType(file)
        // The marker that ComfyUI and trainers write beside `v_pred`.
        hasZeroTerminalSNR = file.weights.contains { $0.name == "ztsnr" }
        overrides = try Self.overrides(file)
        tokenizerFolder = FileSystem.tokenizer(in: FileSystem.parent(path))
    }

    /// The component a tensor belongs to and its name without the prefix; nil for what belongs to none.
    private static func place(_ name: String) -> (ModelComponent, String)? {
        let prefixes: [(String, ModelComponent)] = [
            (LDMNames.unetPrefix, .unet), (LDMNames.vaePrefix, .vae), (LDMNames.textPrefix, .textEncoder),
        ]
        for (prefix, component) in prefixes where name.hasPrefix(prefix) {
            let rest = String(name.dropFirst(prefix.count))
            return component == .vae && SeparateVAE.isLeftover(rest) ? nil : (component, rest)
        }
        return nil
    }

    /// Fine-tunes for v-prediction carry an empty tensor `v_pred`, or say so in the metadata of the model
    /// specification (`modelspec.prediction_type`: `v`).
    static func predictionType(_ file: WeightFile) throws -> String {
        let key = "modelspec.prediction_type"
        let described = file.metadata[key] ?? "epsilon"
        guard ["epsilon", "v", "v_prediction"].contains(described) else {
            throw FileFailure.badKey(file: file.path, key: key, expected: "epsilon, v or v_prediction", found: described)
        }
        let isMarked = file.weights.contains { $0.name == "v_pred" }
        return isMarked || described != "epsilon" ? "v_prediction" : "epsilon"
    }

    private static func overrides(_ file: WeightFile) throws -> ConfigFile {
        let stem = file.path.lastIndex(of: ".").map { file.path[..<$0] } ?? file.path[...]
        if let json = try DiffusersFolder.optionalJSON(stem + ".json") {
            return try ConfigFile(file: stem + ".json", json: json)
        }
        guard let text = file.metadata["lvo.config"] else { return try ConfigFile(file: file.path, json: [:]) }
        return try ConfigFile(file: file.path + " lvo.config", json: try JSON.parse(text))
    }

    private func config(_ section: String, _ derived: JSON) throws -> ConfigFile {
        var members = derived.object ?? JSONObject()
        // Web interfaces keep notes in a file of the same name; its `vae` is a file's name, or says that there is none.
        let given = overrides.json[section] ?? .null
        let isNone = given.saysNothing || ["None", "Automatic"].contains(given.string)
        guard let changes = isNone ? JSONObject() : given.object else {
            throw overrides.bad(
                section, expected: "an object of settings (another VAE is given apart)", found: given.serialized())
        }
        for (key, value) in changes { members[key] = value }
        return try ConfigFile(file: "\(path) (\(section))", json: .object(members))
    }

    func scheduler() throws -> ConfigFile {
        try config(
            "scheduler",
            ModelFolderFiles.scheduler(predictionType: predictionType, zeroTerminalSNR: hasZeroTerminalSNR))
    }

    func hasComponent(_ component: ModelComponent) -> Bool { parts[component] != nil }

    func config(_ component: ModelComponent) throws -> ConfigFile {
        let weights = parts[component] ?? []
        switch component {
        case .unet: return try config(component.rawValue, ModelFolderFiles.unet(derivedUNet()))
        case .vae: return try config(component.rawValue, ModelFolderFiles.vae(SeparateVAE.store(weights, file: path).0))
        case .textEncoder:
            guard let derived = TextEncoderConfig(shapes: try self.weights(component).shapes) else {
                throw underivable(component)
            }
            return try config(component.rawValue, ModelFolderFiles.textEncoder(derived))
        }
    }

    func weights(_ component: ModelComponent) throws -> WeightStore {
        let weights = parts[component] ?? []
        switch component {
        case .unet:
            let config = try derivedUNet()
            let names = config.manifest.tensors.map { ($0.name, LDMNames.unet($0.name, config)) }
            return try WeightStore(file: path, weights: weights.renamed(names), naming: component)
        case .vae: return try SeparateVAE.store(weights, file: path).1
        case .textEncoder: return try WeightStore(file: path, weights: weights, naming: component)
        }
    }

    private func derivedUNet() throws -> UNetConfig {
        guard let config = UNetConfig(ldmShapes: (parts[.unet] ?? []).shapes) else { throw underivable(.unet) }
        return config
    }

    private func underivable(_ component: ModelComponent) -> FileFailure {
        .malformed(file: path, reason: "its \(component.rawValue) lacks tensors that tell its sizes")
    }
}

extension [Weight] {
    var shapes: [String: [Int]] {
        Dictionary(map { ($0.name, $0.shape) }, uniquingKeysWith: { first, _ in first })
    }

    /// Each weight under the new name that is paired with its own; those without a pair as they are, so that a strict
    /// comparison reports them.
    func renamed(_ names: [(new: String, old: String)]) -> [Weight] {
        let table = Dictionary(names.map { ($0.old, $0.new) }, uniquingKeysWith: { first, _ in first })
        return map { $0.renamed(table[$0.name] ?? $0.name) }
    }
}
