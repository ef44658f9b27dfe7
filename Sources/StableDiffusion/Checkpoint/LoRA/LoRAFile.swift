import Checkpoints
import Files
import Tensors

/// The modules of one LoRA file.
struct LoRAFile {
    let path: String
    private(set) var modules: [LoRAModule] = []
    /// Keys that belong to no module.
    private(set) var unknown: [String] = []
    let keyCount: Int
    /// What the header or PEFT's `adapter_config.json` says of scales; nil where only the tensors do.
    let settings: LoRASettings?

    /// - Throws: `FileFailure`, also for a tensor that holds NaN or infinity.
    init(path: String) throws {
        try self.init(WeightFile(path: path), path: path)
    }

    init(_ file: WeightFile, path: String) throws {
        self.path = path
        keyCount = file.weights.count
        settings = try LoRASettings.find(for: file, path: path)
        var index: [String: Int] = [:]
        var unplaced: [String] = []
        for weight in file.weights {
            if let defect = weight.defect {
                throw FileFailure.unsupported(
                    file: path, found: "tensor \(weight.name) \(defect)", advice: "save it as float16 or float32")
            }
            guard let (name, part) = LoRANames.split(weight.name) else {
                unplaced.append(weight.name)
                continue
            }
            try weight.checkFinite(file: path)
            let position = index[name] ?? modules.count
            if position == modules.count { modules.append(LoRAModule(name: name)) }
            index[name] = position
            modules[position].set(weight, part)
        }
        for key in unplaced { place(key, index) }
    }

    /// A key of no known ending spoils the module whose name it begins with.
    private mutating func place(_ key: String, _ index: [String: Int]) {
        var name = key[...]
        while let dot = name.lastIndex(of: ".") {
            name = name[..<dot]
            if let position = index[String(name)] { return modules[position].spoil(key) }
        }
        unknown.append(key)
    }

    /// For people: methods with the number of layers of each, and where scales are from.
    var notes: [String] {
        var counts: [String: Int] = [:]
        for module in modules {
            let method = module.method?.rawValue ?? "not understood"
            counts[module.isDecomposed ? "DoRA on \(method)" : method, default: 0] += 1
        }
        let methods = counts.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value) layers" }
        let hasAlpha = modules.contains { $0.keys.contains { $0.hasSuffix(".alpha") } }
        let scale = settings?.summary ?? "scale from " + (hasAlpha ? "its alpha tensors (alpha / rank)" : "nothing: 1")
        return methods + [scale]
    }
}
