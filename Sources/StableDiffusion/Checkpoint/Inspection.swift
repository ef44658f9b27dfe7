import Checkpoints
import Files
import Tensors

/// What a file or folder is, without loading it: never refuses what it can describe.
public struct Inspection: Sendable {
    /// One network of a model, compared with what its configuration asks for.
    public struct Part: Sendable {
        /// The component's name in a diffusers folder, such as `unet`; `tensors` for a file that is no model.
        public let name: String
        /// How many tensors there are of each kind of number.
        public let dtypes: [DType: Int]
        /// Numbers in all its tensors together.
        public let parameterCount: Int
        /// Tensors that are missing, too many or of another shape.
        public let difference: WeightStore.Difference
        /// Tensors that no layer takes and that are known to be harmless.
        public let leftovers: [String]
        /// Why it could not be compared, if so.
        public let problem: String?

        /// Whether every layer finds its tensors.
        public var isComplete: Bool { problem == nil && difference.isEmpty }
    }

    /// What was inspected, as it was given.
    public let path: String
    /// How it is stored: a folder, or a kind of file.
    public let container: String
    /// Which kind of model, or part of one, it is.
    public let family: ModelFamily
    /// What the U-Net's output means, as the scheduler's file or the checkpoint says; nil: neither does.
    public let predictionType: String?
    /// The networks that were found, with what is wrong with each.
    public let parts: [Part]
    /// Tensors of a single file that belong to no part.
    public let leftovers: [String]
    /// What else there is to say: where a LoRA's scale is from, by what methods it changes weights.
    public let notes: [String]
    /// Python's names in a pickle that are not known; nothing of them was executed.
    public let unknownNames: [String]

    /// Whether it would load.
    public var isSupported: Bool { family == .stableDiffusion1 && parts.allSatisfy(\.isComplete) }

    /// - Throws: `FileFailure` if the path cannot be read, or is a file of which not even names can be.
    public init(path: String) throws {
        self.path = path
        if FileSystem.isFolder(path) {
            container = "diffusers folder"
            family = ModelFamily.recognize(
                modelIndex: try DiffusersFolder.optionalJSON(path + "/model_index.json"),
                unet: try DiffusersFolder.optionalJSON(path + "/unet/config.json"))
            let folder = family == .stableDiffusion1 ? try DiffusersFolder(path: path) : nil
            (parts, leftovers, unknownNames) = (folder.map(Self.parts) ?? [], [], [])
            predictionType = (try? folder?.scheduler()).map { $0.json["prediction_type"]?.string ?? "epsilon" }
            notes = []
            return
        }
        let file = try WeightFile(path: path)
        container = file.container.rawValue
        family = ModelFamily.recognize(file.weights.shapes)
        let single = family == .stableDiffusion1 ? try SingleFile(path: path) : nil
        parts = single.map(Self.parts) ?? [Self.part(of: file, family)]
        leftovers = single?.leftovers ?? []
        unknownNames = file.unknownNames
        predictionType = try single?.scheduler().string("prediction_type")
        notes = Self.notes(on: file, family)
    }

    private static func notes(on file: WeightFile, _ family: ModelFamily) -> [String] {
        do {
            switch family {
            case .lora: return try LoRAFile(file, path: file.path).notes
            case .embedding:
                let embedding = try TextualInversion(file, path: file.path, token: nil)
                return ["\(embedding.token): \(embedding.vectors) vectors of \(embedding.width)"]
            default: return []
            }
        } catch {
            return ["\(error)"]
        }
    }

    private static func parts(_ model: some ModelContainer) -> [Part] {
        ModelComponent.allCases.map { component in
            do {
                guard model.hasComponent(component) else {
                    return Part(name: component.rawValue, problem: "there is none")
                }
                let config = try model.config(component)
                let weights = try model.weights(component)
                return Part(
                    name: component.rawValue, weights, weights.difference(from: try component.manifest(config)))
            } catch {
                return Part(name: component.rawValue, problem: "\(error)")
            }
        }
    }

    private static func part(of file: WeightFile, _ family: ModelFamily) -> Part {
        do {
            if family == .vae {
                let vae = try SeparateVAE(path: file.path)
                return Part(name: "vae", vae.weights, vae.weights.difference(from: try ModelComponent.vae.manifest(vae.config)))
            }
            let store = try WeightStore(file: file.path, weights: file.weights)
            return Part(name: "tensors", store, WeightStore.Difference())
        } catch {
            return Part(name: "tensors", problem: "\(error)")
        }
    }
}

extension Inspection.Part {
    init(name: String, _ weights: WeightStore, _ difference: WeightStore.Difference) {
        self.init(
            name: name, dtypes: weights.dtypes,
            parameterCount: weights.shapes.values.reduce(0) { $0 &+ (Shapes.count($1) ?? 0) },
            difference: difference, leftovers: weights.leftovers, problem: nil)
    }

    init(name: String, problem: String) {
        self.init(
            name: name, dtypes: [:], parameterCount: 0, difference: WeightStore.Difference(), leftovers: [],
            problem: problem)
    }

    /// The same as `text`, for programs.
    public var json: JSON {
        func strings(_ names: [String]) -> JSON { .array(names.map { .string($0) }) }
        func shape(_ sizes: [Int]) -> JSON { .array(sizes.map { .integer($0) }) }
        return [
            "parameters": .integer(parameterCount), "complete": .bool(isComplete),
            "dtypes": JSON(dtypes.map { ($0.key.rawValue, .integer($0.value)) }),
            "missing": strings(difference.missing), "extra": strings(difference.extra),
            "misshapen": .array(
                difference.misshapen.map {
                    ["tensor": .string($0.name), "expected": shape($0.expected), "found": shape($0.found)]
                }),
            "leftovers": strings(leftovers), "problem": problem.map { .string($0) } ?? .null,
        ]
    }

    /// One line, and one for each thing that is wrong.
    public var text: String {
        if let problem { return "  \(name): \(problem)\n" }
        let kinds = dtypes.sorted { $0.key.rawValue < $1.key.rawValue }
            .map { "\($0.value) tensors \($0.key.rawValue)" }.joined(separator: ", ")
        var text = "  \(name): \(parameterCount) parameters, \(kinds)\(isComplete ? "" : ", not loadable")\n"
        func list(_ what: String, _ names: [String]) {
            let shown = names.prefix(5).joined(separator: ", ") + (names.count > 5 ? ", …" : "")
            if !names.isEmpty { text += "    \(what) (\(names.count)): \(shown)\n" }
        }
        list("missing", difference.missing)
        list("misshapen", difference.misshapen.map { "\($0.name) is \($0.found), expected \($0.expected)" })
        list("extra", difference.extra)
        list("leftovers", leftovers)
        return text
    }
}

extension Inspection {
    /// The same as `text`, for programs.
    public var json: JSON {
        [
            "path": .string(path), "container": .string(container), "family": .string(family.rawValue),
            "supported": .bool(isSupported), "prediction_type": predictionType.map { .string($0) } ?? .null,
            "parts": JSON(parts.map { ($0.name, $0.json) }), "leftovers": .array(leftovers.map { .string($0) }),
            "notes": .array(notes.map { .string($0) }),
            "unknown_names": .array(unknownNames.map { .string($0) }),
        ]
    }

    /// What it is, a few lines for each network, and what would keep it from loading.
    public var text: String {
        var text = "\(path): \(family.rawValue), \(container)\n"
        if let predictionType { text += "  prediction type: \(predictionType)\n" }
        for note in notes { text += "  \(note)\n" }
        for part in parts { text += part.text }
        if !leftovers.isEmpty {
            let shown = leftovers.prefix(5).joined(separator: ", ") + (leftovers.count > 5 ? ", …" : "")
            text += "  leftovers (\(leftovers.count)), not part of the model: \(shown)\n"
        }
        if !unknownNames.isEmpty {
            text += "  objects of Python beside the weights, not executed: \(unknownNames.joined(separator: ", "))\n"
        }
        if !isSupported {
            text += family == .stableDiffusion1 ? "  cannot be loaded\n" : "  not run as a model: \(family.advice)\n"
        }
        return text
    }
}
