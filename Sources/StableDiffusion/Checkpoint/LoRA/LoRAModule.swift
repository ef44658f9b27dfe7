import Checkpoints
import Files
import Tensors

/// The tensors of a LoRA file that change one layer.
struct LoRAModule {
    /// As spelled in the file.
    let name: String
    private(set) var keys: [String] = []
    private var parts: [LoRANames.Part: Weight] = [:]
    private var isUnderstood = true

    init(name: String) {
        self.name = name
    }

    mutating func set(_ weight: Weight, _ part: LoRANames.Part) {
        keys.append(weight.name)
        if parts.updateValue(weight, forKey: part) != nil { isUnderstood = false }
    }

    mutating func spoil(_ key: String) {
        keys.append(key)
        isUnderstood = false
    }

    /// What a module does to its layer.
    struct Change {
        var weight: (any WeightChange)?
        var bias: (any WeightChange)?
        /// Whether a layer without bias may be changed all the same.
        var biasIsOptional = false
    }

    /// The method, told by which tensors there are; nil if any of them is no part of it.
    var method: Method? {
        let known = Set(parts.keys)
        guard isUnderstood else { return nil }
        return Method.allCases.first { method in
            method.required.isSubset(of: known) && known.isSubset(of: method.allowed)
        }
    }

    /// - Returns: nil for a module that is not understood.
    /// - Throws: `FileFailure` if two sources give different scales.
    func change(scale: Float, target: LoRATarget, settings: LoRASettings?, file: String) throws -> Change? {
        guard let method, parts[.alpha].map({ $0.count == 1 }) ?? true else { return nil }
        var change: Change
        switch method {
        case .scaling:
            guard let scaling = scaling(by: scale, target, settings) else { return nil }
            change = scaling
        case .difference:
            change = Change(
                weight: parts[.difference].map { Difference(values: $0, factor: scale) },
                bias: parts[.biasDifference].map { Difference(values: $0, factor: scale) })
        case .product, .hadamard, .kronecker:
            let rank = self.rank(method)
            let factor = try scale * factor(rank: rank, target, settings, file: file)
            guard let delta = delta(method, factor: factor) else { return nil }
            change = Change(weight: delta, bias: parts[.upBias].map { Difference(values: $0, factor: factor) })
        }
        if let magnitude = parts[.magnitude] ?? parts[.doraScale], let inner = change.weight {
            change.weight = MagnitudeAndDirection(
                change: inner, magnitude: magnitude, isPerOutput: isPerOutput(magnitude, target.shape))
        }
        return change
    }

    /// Nil where nothing in the module has a rank.
    func rank(_ method: Method) -> Int? {
        switch method {
        case .product: parts[.down]?.shape.first
        case .hadamard: parts[.hadamard1B]?.shape.first
        case .kronecker: (parts[.kronecker1B] ?? parts[.kronecker2B])?.shape.first
        case .scaling, .difference: nil
        }
    }

    /// PEFT keeps a magnitude per output. LyCORIS does so too, or, in files of older versions, per input: [1, inputs, …].
    private func isPerOutput(_ magnitude: Weight, _ shape: [Int]) -> Bool {
        guard parts[.magnitude] == nil, magnitude.shape.count >= 2, shape.count >= 2 else { return true }
        return !(magnitude.shape[0] == 1 && magnitude.shape[1] == shape[1])
    }

    /// alpha / rank. The file's settings or its alpha tensors say it; both may, if they say the same.
    private func factor(
        rank: Int?, _ target: LoRATarget, _ settings: LoRASettings?, file: String
    ) throws -> Float {
        let stated = try settings?.scale(target.component, target.module, rank: rank)
        guard let alpha = parts[.alpha]?.floats().first else { return stated ?? 1 }
        // LyCORIS keeps an alpha of no meaning beside a Kronecker product of two whole matrices.
        guard let rank, rank > 0 else { return stated ?? 1 }
        let own = alpha / Float(rank)
        guard let stated, abs(stated - own) > 1e-6 * abs(own) else { return own }
        throw FileFailure.unsupported(
            file: file, found: "\(name).alpha scales it by \(own), \(settings?.source ?? "") by \(stated)",
            advice: "remove one of the two")
    }

    private func delta(_ method: Method, factor: Float) -> (any WeightChange)? {
        switch method {
        case .product:
            guard let up = parts[.up], let down = parts[.down] else { return nil }
            guard let middle = parts[.middle] else { return LoRADelta(up: up, down: down, factor: factor) }
            return TuckerDelta(up: up, middle: middle, down: down, factor: factor)
        case .hadamard:
            guard let a1 = parts[.hadamard1A], let b1 = parts[.hadamard1B], let a2 = parts[.hadamard2A],
                let b2 = parts[.hadamard2B], (parts[.hadamard1Core] == nil) == (parts[.hadamard2Core] == nil)
            else { return nil }
            return HadamardDelta(
                first: LowRank(a: a1, b: b1, core: parts[.hadamard1Core]),
                second: LowRank(a: a2, b: b2, core: parts[.hadamard2Core]), factor: factor)
        case .kronecker:
            guard let first = whole(.kronecker1, .kronecker1A, .kronecker1B, core: nil),
                let second = whole(.kronecker2, .kronecker2A, .kronecker2B, core: .kronecker2Core)
            else { return nil }
            return KroneckerDelta(first: first, second: second, factor: factor)
        case .scaling, .difference: return nil
        }
    }

    /// A matrix that stands whole or as a product; not both.
    private func whole(
        _ part: LoRANames.Part, _ a: LoRANames.Part, _ b: LoRANames.Part, core: LoRANames.Part?
    ) -> KroneckerDelta.Part? {
        let core = core.flatMap { parts[$0] }
        if let whole = parts[part] {
            return parts[a] == nil && parts[b] == nil && core == nil ? .whole(whole) : nil
        }
        guard let a = parts[a], let b = parts[b] else { return nil }
        return .product(LowRank(a: a, b: b, core: core))
    }

    /// (IA)³. PEFT's vector is the factor itself, and scales the bias too where it scales outputs; LyCORIS's is what
    /// is added to 1, and leaves the bias.
    private func scaling(by scale: Float, _ target: LoRATarget, _ settings: LoRASettings?) -> Change? {
        guard let vector = parts[.ia3] else {
            guard let vector = parts[.plain], let flag = parts[.onInput]?.floats().first else { return nil }
            return Change(weight: Scaling(vector: vector, isOnInput: flag != 0, offset: 0, factor: scale))
        }
        guard parts[.plain] == nil, parts[.onInput] == nil,
            let isOnInput = isOnInput(vector, target, settings)
        else { return nil }
        func change(_ isOnInput: Bool) -> Scaling {
            Scaling(vector: vector, isOnInput: isOnInput, offset: -1, factor: scale)
        }
        return Change(
            weight: change(isOnInput), bias: isOnInput ? nil : change(false), biasIsOptional: true)
    }

    /// PEFT writes [outputs, 1] or [1, inputs] for linear layers; for convolutions the second dimension has either, and
    /// where both are alike only the configuration knows.
    private func isOnInput(_ vector: Weight, _ target: LoRATarget, _ settings: LoRASettings?) -> Bool? {
        guard target.shape.count >= 2 else { return nil }
        if vector.shape.count == 2 { return vector.shape[0] == 1 && vector.shape[1] == target.shape[1] }
        let (fitsOutputs, fitsInputs) = (vector.count == target.shape[0], vector.count == target.shape[1])
        return fitsOutputs != fitsInputs ? fitsInputs : settings?.isFeedForward(target.module)
    }
}

extension LoRAModule {
    /// How the change of a weight is written down.
    enum Method: String, CaseIterable {
        case product = "LoRA"
        case hadamard = "LoHa"
        case kronecker = "LoKr"
        case scaling = "(IA)³"
        case difference = "full difference"

        var required: Set<LoRANames.Part> {
            switch self {
            case .product: [.up, .down]
            case .hadamard: [.hadamard1A, .hadamard1B, .hadamard2A, .hadamard2B]
            case .kronecker, .scaling, .difference: []
            }
        }

        var allowed: Set<LoRANames.Part> {
            let scales: Set<LoRANames.Part> = [.alpha, .magnitude, .doraScale]
            switch self {
            case .product: return scales.union([.up, .down, .middle, .upBias])
            case .hadamard: return scales.union(required).union([.hadamard1Core, .hadamard2Core])
            case .kronecker:
                return scales.union([
                    .kronecker1, .kronecker1A, .kronecker1B, .kronecker2, .kronecker2A, .kronecker2B, .kronecker2Core,
                ])
            case .scaling: return [.ia3, .plain, .onInput]
            case .difference: return [.difference, .biasDifference]
            }
        }
    }

    /// Whether weights are decomposed into magnitude and direction (DoRA).
    var isDecomposed: Bool { parts[.magnitude] != nil || parts[.doraScale] != nil }
}
