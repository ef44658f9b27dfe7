import Files
import Synchronization
import Tensors

/// The tensors of one component, asked for by name and shape.
///
/// Two ways to be strict: `verify` compares the whole store with a manifest at once, so that a caller which then takes
/// only the layers up to a hook still has checked everything; `finish` reports what nobody took, for components
/// without a manifest.
public final class WeightStore: Sendable {
    /// Path, for messages.
    public let file: String
    /// Tensors of the file that are known not to belong to the model, such as `position_ids`.
    public let leftovers: [String]
    /// Changes a weight as it is taken; its name and shape stay.
    public typealias Edit = @Sendable (Weight) -> Weight

    private let weights: [String: Weight]
    /// Why tensors of these names cannot be read; they are missing unless nobody asks for them.
    private let defects: [String: String]
    private let edits: [String: Edit]
    private let taken = Mutex<Set<String>>([])

    /// - Parameter naming: the model's own names for what files call otherwise; nil takes names as they are.
    /// - Throws: `FileFailure.malformed` if two tensors come to the same name.
    public init(
        file: String, weights: [Weight], naming: (any TensorNaming)? = nil, leftovers: [String] = []
    ) throws(FileFailure) {
        self.file = file
        var named: [String: Weight] = [:]
        var unused = leftovers
        var defects: [String: String] = [:]
        for original in weights {
            let weight = naming?.normalized(original) ?? original
            if naming?.isLeftover(weight.name) ?? false {
                unused.append(weight.name)
            } else if let defect = weight.defect {
                defects[weight.name] = defect
            } else if named.updateValue(weight, forKey: weight.name) != nil {
                throw .malformed(file: file, reason: "tensor \(weight.name) is there twice")
            }
        }
        self.weights = named
        self.defects = defects
        self.leftovers = unused.sorted()
        edits = [:]
    }

    /// Opens one weights file of any container, or the parts named by a `*.safetensors.index.json`.
    public convenience init(path: String, naming: (any TensorNaming)? = nil) throws {
        try self.init(file: path, weights: WeightFile(path: path).weights, naming: naming)
    }

    private init(_ store: WeightStore, edits: [String: Edit]) {
        file = store.file
        leftovers = store.leftovers
        weights = store.weights
        defects = store.defects
        self.edits = edits
    }

    /// The same tensors, changed as they are taken.
    package func edited(_ edits: [String: Edit]) -> WeightStore {
        edits.isEmpty ? self : WeightStore(self, edits: edits)
    }

    /// Names of the model's tensors, sorted.
    public var names: [String] { weights.keys.sorted() }

    /// The tensor's shape, or nil if there is none of that name.
    public func shape(of name: String) -> [Int]? { weights[name]?.shape }

    /// All names with their shapes.
    public var shapes: [String: [Int]] { weights.mapValues(\.shape) }

    /// How many tensors there are of each dtype.
    public var dtypes: [DType: Int] { weights.values.reduce(into: [:]) { $0[$1.dtype, default: 0] += 1 } }

    /// Elements of all tensors.
    package var elementCount: Int { weights.values.reduce(0) { $0 + $1.count } }

    /// - Throws: `FileFailure.missingTensors`, `.unsupported` for one that cannot be read or holds NaN or
    ///   infinity, or `.misshapen`.
    public func take(_ name: String, shape: [Int]) throws(FileFailure) -> Weight {
        guard let weight = weights[name] else { throw missing([name]) }
        guard weight.shape == shape else {
            throw .misshapen(file: file, tensor: name, expected: shape, found: weight.shape)
        }
        taken.withLock { _ = $0.insert(name) }
        try weight.checkFinite(file: file)
        guard let edit = edits[name] else { return weight }
        let edited = edit(weight)
        try edited.checkFinite(file: "\(file), changed by LoRA files")
        return edited
    }

    /// The files that the tensors come from.
    package var files: [String] {
        Set(weights.values.compactMap { ($0.owner as? MappedFile)?.path } + [file]).filter(FileSystem.isFile).sorted()
    }

    /// SHA-256 of all tensors: names, types, shapes and bytes, in the order of their names, without edits. The same in
    /// whatever container they lie.
    package func fingerprint() -> String {
        defer { releasePages() }
        return Fingerprint.of(
            .array(
                weights.values.sorted { $0.name < $1.name }.map { weight in
                    [
                        .string(weight.name), .string(weight.dtype.rawValue), .array(weight.shape.map(JSON.integer)),
                        .string(withExtendedLifetime(weight.owner) { Fingerprint.of(pieces: [weight.bytes]) }),
                    ]
                }))
    }

    /// Names the first of these that is there but cannot be read, else all of them.
    private func missing(_ names: [String]) -> FileFailure {
        guard let name = names.first(where: { defects[$0] != nil }), let defect = defects[name] else {
            return .missingTensors(file: file, names: names)
        }
        return .unsupported(
            file: file, found: "tensor \(name) \(defect)", advice: "save it as plain float16 or float32 numbers")
    }

    /// Takes file pages out of this process's memory after layers have packed what they took.
    public func releasePages() {
        var files: [ObjectIdentifier: MappedFile] = [:]
        for case let file as MappedFile in weights.values.map(\.owner) { files[ObjectIdentifier(file)] = file }
        for file in files.values { file.releasePages() }
    }

    /// Compares every name and shape with the manifest's.
    ///
    /// - Throws: `FileFailure.missingTensors`, `.unsupported`, `.misshapen` or `.extraTensors`, in this order.
    public func verify(_ manifest: Manifest) throws(FileFailure) {
        let difference = self.difference(from: manifest)
        if !difference.missing.isEmpty { throw missing(difference.missing) }
        if let first = difference.misshapen.first {
            throw .misshapen(file: file, tensor: first.name, expected: first.expected, found: first.found)
        }
        if !difference.extra.isEmpty { throw .extraTensors(file: file, names: difference.extra) }
    }

    /// How a store differs from what a manifest asks for.
    public struct Difference: Sendable {
        /// Names that the manifest has and the store has not.
        public var missing: [String] = []
        /// Names that both have, with different shapes.
        public var misshapen: [(name: String, expected: [Int], found: [Int])] = []
        /// Names that the store has and the manifest has not.
        public var extra: [String] = []

        package init() {}

        /// Whether names and shapes are the same.
        public var isEmpty: Bool { missing.isEmpty && misshapen.isEmpty && extra.isEmpty }
    }

    /// How the store's names and shapes differ from the manifest's.
    public func difference(from manifest: Manifest) -> Difference {
        var difference = Difference()
        for tensor in manifest.tensors {
            guard let found = weights[tensor.name]?.shape else {
                difference.missing.append(tensor.name)
                continue
            }
            if found != tensor.shape { difference.misshapen.append((tensor.name, tensor.shape, found)) }
        }
        difference.extra = Set(weights.keys).subtracting(manifest.tensors.map(\.name)).sorted()
        return difference
    }

    /// - Throws: `FileFailure.extraTensors` naming the tensors that were never taken.
    public func finish() throws(FileFailure) {
        let extra = taken.withLock { Set(weights.keys).subtracting($0) }
        if !extra.isEmpty { throw .extraTensors(file: file, names: extra.sorted()) }
    }
}
