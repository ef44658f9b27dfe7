import Checkpoints
import Files
import Tensors

/// The modules of one LoRA file.
struct LoRAFile {
    /// The tensors that change one layer.
    struct Module {
        /// As spelled in the file.
        let name: String
        var keys: [String] = []
        var up: Weight?
        var down: Weight?
        var alpha: Float?
        var isPlain = true

        /// Nil if the module is not a product of two matrices.
        func delta(scale: Float) -> LoRADelta? {
            guard isPlain, let up, let down, let rank = down.shape.first, rank > 0 else { return nil }
            return LoRADelta(up: up, down: down, factor: scale * (alpha ?? Float(rank)) / Float(rank))
        }
    }

    private(set) var modules: [Module] = []
    /// Keys that belong to no module.
    private(set) var unknown: [String] = []
    let keyCount: Int
    /// alpha / rank of PEFT's `adapter_config.json` beside the file; 1 without one.
    let factor: Float

    init(path: String) throws {
        let file = try WeightFile(path: path)
        keyCount = file.weights.count
        factor = try Self.adapterFactor(path)
        var index: [String: Int] = [:]
        for weight in file.weights {
            if let defect = weight.defect {
                throw FileFailure.unsupported(
                    file: path, found: "tensor \(weight.name) \(defect)", advice: "save it as float16 or float32")
            }
            guard let (name, role) = LoRANames.split(weight.name) else {
                unknown.append(weight.name)
                continue
            }
            let position = index[name] ?? modules.count
            if position == modules.count { modules.append(Module(name: name)) }
            index[name] = position
            Self.set(weight, role, in: &modules[position])
        }
    }

    private static func set(_ weight: Weight, _ role: LoRANames.Role, in module: inout Module) {
        module.keys.append(weight.name)
        switch role {
        case .down: module.down = weight
        case .up: module.up = weight
        case .alpha: module.alpha = weight.count == 1 ? weight.floats().first : nil
        case .other: module.isPlain = false
        }
    }

    private static func adapterFactor(_ path: String) throws -> Float {
        let configPath = FileSystem.parent(path) + "/adapter_config.json"
        guard let json = try DiffusersFolder.optionalJSON(configPath) else { return 1 }
        let config = try ConfigFile(file: configPath, json: json)
        let rank = try config.double("r")
        guard rank > 0 else { throw config.bad("r", expected: "a positive rank", found: "\(rank)") }
        let alpha = try config.double("lora_alpha", default: rank)
        let isRootScaled = try config.bool("use_rslora", default: false)
        return Float(isRootScaled ? alpha / rank.squareRoot() : alpha / rank)
    }
}
