import Checkpoints
import Files

/// What a LoRA's configuration says beside its tensors: PEFT's `adapter_config.json`, or the same keys in the header of a
/// file that diffusers wrote (`lora_adapter_metadata`, with `unet.` and `text_encoder.` before each key).
///
/// The header wins over a file beside it, since it cannot have come from elsewhere.
struct LoRASettings {
    /// Where it stands, for messages.
    let source: String
    /// nil: for every component.
    private let sections: [(component: ModelComponent?, config: AdapterConfig)]

    static let headerKey = "lora_adapter_metadata"

    /// - Throws: `FileFailure` for a setting that would change numbers and is not known here.
    static func find(for file: WeightFile, path: String) throws -> LoRASettings? {
        if let text = file.metadata[headerKey] {
            let source = "\(path) (\(headerKey))"
            let json: JSON
            do {
                json = try JSON.parse(text)
            } catch {
                throw FileFailure.malformed(file: source, reason: "\(error)")
            }
            return try LoRASettings(ConfigFile(file: source, json: json), source: "its header")
        }
        let beside = FileSystem.parent(path) + "/adapter_config.json"
        guard let json = try DiffusersFolder.optionalJSON(beside) else { return nil }
        let config = try AdapterConfig(ConfigFile(file: beside, json: json))
        return LoRASettings(source: "adapter_config.json", sections: [(nil, config)])
    }

    private init(source: String, sections: [(ModelComponent?, AdapterConfig)]) {
        self.source = source
        self.sections = sections
    }

    private init(_ header: ConfigFile, source: String) throws {
        let members = header.json.object ?? JSONObject()
        var sections: [(ModelComponent?, AdapterConfig)] = []
        for component in ModelComponent.allCases {
            let prefix = component.rawValue + "."
            var own = JSONObject()
            for (key, value) in members where key.hasPrefix(prefix) { own[String(key.dropFirst(prefix.count))] = value }
            if own.count > 0 {
                sections.append((component, try AdapterConfig(ConfigFile(file: header.file, json: .object(own)))))
            }
        }
        if sections.isEmpty, members.count > 0 { sections.append((nil, try AdapterConfig(header))) }
        self.init(source: source, sections: sections)
    }

    private func config(_ component: ModelComponent?) -> AdapterConfig? {
        sections.first { $0.component == nil || component == nil || $0.component == component }?.config
    }

    /// alpha / r of a layer; nil if nothing is said of its component.
    ///
    /// - Parameter rank: of the layer's matrices.
    /// - Throws: `FileFailure.badKey` if the configuration says another rank.
    func scale(_ component: ModelComponent, _ module: String, rank: Int?) throws -> Float? {
        try config(component)?.scale(module, rank: rank)
    }

    func isFeedForward(_ module: String) -> Bool? { config(.unet)?.isFeedForward(module) }

    /// One line for people.
    var summary: String {
        let parts = sections.map { section in
            (section.component.map { $0.rawValue + " " } ?? "") + section.config.summary
        }
        return "scale from \(source): " + parts.joined(separator: "; ")
    }
}

/// One configuration of PEFT: LoRA, LoHa, LoKr or (IA)³.
package struct AdapterConfig {
    private let file: ConfigFile
    private let rank: Int
    private let alpha: Double
    private let isRootScaled: Bool
    private let rankPattern: [AdapterPattern]
    private let alphaPattern: [AdapterPattern]
    private let feedForward: [String]?

    package init(_ file: ConfigFile) throws {
        try Self.checkKeys(file)
        self.file = file
        let kind = try file.string("peft_type", default: "LORA")
        guard ["LORA", "LOHA", "LOKR", "IA3"].contains(kind) else {
            throw file.bad("peft_type", expected: "LORA, LOHA, LOKR or IA3", found: kind)
        }
        // (IA)³ has no rank.
        rank = try file.size("r", default: kind == "LORA" && file.json["lora_alpha"] != nil ? nil : 8)
        alpha = try file.double(kind == "LORA" ? "lora_alpha" : "alpha", default: 8)
        isRootScaled = try file.bool("use_rslora", default: false)
        rankPattern = try AdapterPattern.all("rank_pattern", file)
        alphaPattern = try AdapterPattern.all("alpha_pattern", file)
        feedForward = file.json["feedforward_modules"]?.array?.compactMap(\.string)
    }

    /// alpha / r of a layer, or alpha / √r.
    package func scale(_ module: String, rank own: Int?) throws -> Float {
        let rank = try Self.match(rankPattern, module) ?? Double(self.rank)
        if let own, Double(own) != rank {
            throw file.bad("r", expected: "\(own), the rank of \(module)'s matrices", found: "\(Int(rank))")
        }
        let alpha = try Self.match(alphaPattern, module) ?? self.alpha
        return Float(isRootScaled ? alpha / rank.squareRoot() : alpha / rank)
    }

    func isFeedForward(_ module: String) -> Bool? {
        feedForward.map { names in names.contains { module == $0 || module.hasSuffix("." + $0) } }
    }

    var summary: String {
        let patterns = rankPattern.count + alphaPattern.count
        return "alpha \(alpha) / " + (isRootScaled ? "√" : "") + "rank \(rank)"
            + (patterns > 0 ? " and \(patterns) layers of their own" : "")
    }

    private static func match(_ patterns: [AdapterPattern], _ module: String) throws -> Double? {
        // Newer versions of transformers leave the prefix out of the text encoder's names.
        let names = [module, module.hasPrefix("text_model.") ? String(module.dropFirst("text_model.".count)) : module]
        return try patterns.first { pattern in try names.contains(where: pattern.matches) }?.value
    }
}
