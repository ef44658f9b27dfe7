import Checkpoints
import Files
import Tensors

/// A change of one weight: W + factor · up · down, where `down` is [rank, fan-in] and `up` [fan-out, rank] (trailing
/// kernel dimensions flattened). factor = scale · alpha / rank; a file without alpha means alpha = rank.
struct LoRADelta: Sendable {
    let up: Weight
    let down: Weight
    let factor: Float

    var rank: Int { down.shape[0] }

    /// Whether the product has the weight's shape.
    func fits(_ shape: [Int]) -> Bool {
        guard shape.count >= 2, let outputs = shape.first, up.shape.count >= 2, down.shape.count >= 2, rank > 0,
            let downCount = Shapes.count(down.shape), let upCount = Shapes.count(up.shape)
        else { return false }
        // A 3×3 kernel belongs to `down` (LoCon); `up` is pointwise.
        return up.shape[0] == outputs && up.shape[1] == rank && upCount == outputs * rank
            && downCount == rank * shape.dropFirst().reduce(1, *)
    }

    func add(to values: UnsafeMutableBufferPointer<Float>) {
        let (outputs, rank) = (up.shape[0], self.rank)
        let inputs = values.count / max(outputs, 1)
        let (up, down) = (self.up.floats(), self.down.floats())
        for output in 0..<outputs {
            let row = UnsafeMutableBufferPointer(rebasing: values[output * inputs..<(output + 1) * inputs])
            for r in 0..<rank {
                let weight = factor * up[output * rank + r]
                down.withUnsafeBufferPointer { down in
                    for i in 0..<inputs { row[i] += weight * down[r * inputs + i] }
                }
            }
        }
    }
}

/// All LoRA files to merge, resolved against one model's tensors.
struct LoRASet: Sendable {
    private var deltas: [ModelComponent: [String: [LoRADelta]]] = [:]
    /// `FILE: KEY` of everything that could not be used, sorted per file.
    private(set) var unused: [String] = []

    init() {}

    /// - Throws: `FileFailure` for unreadable files, and for one of which nothing fits.
    init(_ files: [(path: String, scale: Float)], for model: any ModelContainer) throws {
        let targets = try Self.targets(model)
        for (path, scale) in files {
            let file = try LoRAFile(path: path)
            let before = unused.count
            for module in file.modules {
                let target = targets[LoRANames.normalized(module.name)]
                if let target, let delta = module.delta(scale: scale * file.factor), delta.fits(target.shape) {
                    deltas[target.component, default: [:]][target.name, default: []].append(delta)
                } else {
                    unused += module.keys.map { "\(path): \($0)" }
                }
            }
            unused += file.unknown.map { "\(path): \($0)" }
            unused[before...].sort()
            if unused.count - before == file.keyCount {
                throw FileFailure.unsupported(
                    file: path, found: "none of its \(file.keyCount) tensors fits this model",
                    advice: "a LoRA must be made for Stable Diffusion 1.x, of pairs of matrices (not LoHa, LoKr, DoRA)")
            }
        }
    }

    private struct Target {
        let component: ModelComponent
        let name: String
        let shape: [Int]
    }

    /// Weights that can be changed, by every spelling that a file may use. U-Net names win over the text encoder's,
    /// with which they have nothing in common.
    private static func targets(_ model: any ModelContainer) throws -> [String: Target] {
        var targets: [String: Target] = [:]
        for component in [ModelComponent.unet, .textEncoder] where model.hasComponent(component) {
            let config = try model.config(component)
            let unet = component == .unet ? try UNetConfig(sizesOf: config) : nil
            for tensor in try component.manifest(config).tensors
            where tensor.name.hasSuffix(".weight") && tensor.shape.count >= 2 {
                let ldm = unet.map { LDMNames.unet(tensor.name, $0) }
                for spelling in LoRANames.spellings(tensor.name, component, ldm: ldm) where targets[spelling] == nil {
                    targets[spelling] = Target(component: component, name: tensor.name, shape: tensor.shape)
                }
            }
        }
        return targets
    }

    /// What to do to a component's weights as they are taken.
    func edits(_ component: ModelComponent) -> [String: WeightStore.Edit] {
        (deltas[component] ?? [:]).mapValues { deltas in
            { weight in
                let merged = weight.tensor()
                let values = UnsafeMutableBufferPointer(start: merged.pointer, count: merged.count)
                for delta in deltas { delta.add(to: values) }
                return Weight(name: weight.name, tensor: merged)
            }
        }
    }
}
