import Checkpoints
import Files

/// A model in diffusers layout: one folder per component, each with `config.json` and weights.
struct DiffusersFolder: ModelContainer {
    let path: String
    let leftovers: [String] = []

    /// - Throws: `FileFailure.unsupported` if the configurations are of another family.
    init(path: String) throws {
        self.path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        let index = try Self.optionalJSON(self.path + "/model_index.json")
        let unet = try Self.optionalJSON(self.path + "/unet/config.json")
        let family = ModelFamily.recognize(modelIndex: index, unet: unet)
        guard family == .stableDiffusion1 else {
            throw FileFailure.unsupported(file: path, found: "this is \(family.rawValue)", advice: family.advice)
        }
    }

    static func optionalJSON(_ path: String) throws(FileFailure) -> JSON? {
        FileSystem.isFile(path) ? try JSON.read(path) : nil
    }

    var tokenizerFolder: String? { FileSystem.tokenizer(in: path) }

    func scheduler() throws -> ConfigFile {
        let file = path + "/scheduler/scheduler_config.json"
        guard FileSystem.isFile(file) else {
            return try ConfigFile(file: path, json: ModelFolderFiles.scheduler(predictionType: "epsilon"))
        }
        return try ConfigFile(file: file, json: Self.schedulerJSON(file))
    }

    static func schedulerJSON(_ file: String) throws(FileFailure) -> JSON {
        var limits = JSON.Limits()
        limits.negativeInfinity = true
        return try JSON.read(file, limits: limits)
    }

    func hasComponent(_ component: ModelComponent) -> Bool {
        FileSystem.isFile("\(path)/\(component.rawValue)/config.json")
    }

    func config(_ component: ModelComponent) throws -> ConfigFile {
        try ConfigFile(path: "\(path)/\(component.rawValue)/config.json")
    }

    func weights(_ component: ModelComponent) throws -> WeightStore {
        try Self.weights(component, in: "\(path)/\(component.rawValue)")
    }

    /// The files that may hold a component's weights, best first: full precision before half, safetensors before
    /// pickles.
    static func candidates(_ component: ModelComponent) -> [String] {
        let name = component.weightsName
        let pickle = component == .textEncoder ? "pytorch_model" : name
        return [
            "\(name).safetensors", "\(name).safetensors.index.json", "\(name).fp16.safetensors",
            "\(name).safetensors.index.fp16.json", "\(name).fp16.safetensors.index.json", "\(pickle).bin",
            "\(pickle).bin.index.json",
            "\(pickle).fp16.bin",
        ]
    }

    static func weights(_ component: ModelComponent, in folder: String) throws -> WeightStore {
        let names = candidates(component)
        guard let name = names.first(where: { FileSystem.isFile("\(folder)/\($0)") }) else {
            throw FileFailure.cannotRead(
                file: folder, reason: "it has no weights; looked for " + names.joined(separator: ", "))
        }
        let file = try WeightFile(path: "\(folder)/\(name)")
        return try WeightStore(file: file.path, weights: file.weights, naming: component)
    }
}
