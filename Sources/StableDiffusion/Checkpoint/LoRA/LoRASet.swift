import Checkpoints
import Files
import Tensors

/// All LoRA files to merge, resolved against one model's tensors.
struct LoRASet: Sendable {
    private var changes: [ModelComponent: [String: [any WeightChange]]] = [:]
    /// `FILE: KEY` of everything that could not be used, sorted per file.
    private(set) var unused: [String] = []

    init() {}

    /// - Throws: `FileFailure` for unreadable files, for one of which nothing fits, and for sources of scale that
    ///   contradict each other.
    init(_ files: [(path: String, scale: Float)], for model: any ModelContainer) throws {
        let targets = try LoRATarget.all(of: model)
        for (path, scale) in files {
            let file = try LoRAFile(path: path)
            let before = unused.count
            for module in file.modules where try !add(module, of: file, scale: scale, targets) {
                unused += module.keys.map { "\(path): \($0)" }
            }
            unused += file.unknown.map { "\(path): \($0)" }
            unused[before...].sort()
            if unused.count - before == file.keyCount {
                throw FileFailure.unsupported(
                    file: path, found: "none of its \(file.keyCount) tensors fits this model",
                    advice: "a LoRA must be made for Stable Diffusion 1.x (LoRA, LoCon, DoRA, LoHa, LoKr, (IA)³)")
            }
        }
    }

    /// Whether every tensor of the module is understood and fits; a module is merged whole or not at all.
    private mutating func add(
        _ module: LoRAModule, of file: LoRAFile, scale: Float, _ targets: [String: LoRATarget]
    ) throws -> Bool {
        guard let target = targets[LoRANames.normalized(module.name)],
            let change = try module.change(
                scale: scale, target: target, settings: file.settings, file: file.path)
        else { return false }
        guard change.weight?.fits(target.shape) ?? true else { return false }
        if let bias = change.bias, let shape = target.biasShape {
            guard bias.fits(shape) else { return false }
            changes[target.component, default: [:]][target.module + ".bias", default: []].append(bias)
        } else if change.bias != nil, !change.biasIsOptional {
            return false
        }
        if let weight = change.weight {
            changes[target.component, default: [:]][target.module + ".weight", default: []].append(weight)
        }
        return true
    }

    /// What to do to a component's weights as they are taken.
    func edits(_ component: ModelComponent) -> [String: WeightStore.Edit] {
        (changes[component] ?? [:]).mapValues { changes in
            { weight in
                let merged = weight.tensor()
                let values = UnsafeMutableBufferPointer(start: merged.pointer, count: merged.count)
                for change in changes { change.apply(to: values, shape: weight.shape) }
                return Weight(name: weight.name, tensor: merged)
            }
        }
    }
}

/// A layer of the model that a LoRA module may change.
struct LoRATarget {
    let component: ModelComponent
    /// The layer's name without `.weight`.
    let module: String
    let shape: [Int]
    let biasShape: [Int]?

    /// Layers by every spelling that a file may use. U-Net names win over the text encoder's, with which they have
    /// nothing in common.
    static func all(of model: any ModelContainer) throws -> [String: LoRATarget] {
        var targets: [String: LoRATarget] = [:]
        for component in [ModelComponent.unet, .textEncoder] where model.hasComponent(component) {
            let config = try model.config(component)
            let unet = component == .unet ? try UNetConfig(sizesOf: config) : nil
            let manifest = try component.manifest(config)
            let shapes = manifest.shapes
            for tensor in manifest.tensors where tensor.name.hasSuffix(".weight") {
                let ldm = unet.map { LDMNames.unet(tensor.name, $0) }
                let module = String(tensor.name.dropLast(".weight".count))
                for spelling in LoRANames.spellings(tensor.name, component, ldm: ldm) where targets[spelling] == nil {
                    targets[spelling] = LoRATarget(
                        component: component, module: module, shape: tensor.shape, biasShape: shapes[module + ".bias"])
                }
            }
        }
        return targets
    }
}
