import Checkpoints
import Files
import Ops

/// Where a model's networks find their filters packed, and what these depend on.
public struct NetworkPacks: Sendable {
    private let store: PackedStore
    private let model: String
    private let contents: [ModelComponent: JSON]

    /// - Parameters:
    ///   - model: its name, for people.
    ///   - contents: what identifies each component's weights with all changes to them; one that is not there is not kept.
    public init(_ store: PackedStore, model: String, contents: [ModelComponent: JSON]) {
        (self.store, self.model, self.contents) = (store, model, contents)
    }

    /// A network's file, made now if it is not there: the whole network, whatever part of it is wanted.
    ///
    /// - Parameter layers: makes all of the network's layers.
    /// - Returns: nil where nothing is kept.
    /// - Throws: `FileFailure` for weights that are missing, misshapen or not finite.
    func network(
        _ name: String, of component: ModelComponent, _ weights: WeightStore, _ engine: Engine,
        layers: (LayerBuilder) -> Void
    ) throws -> PackedNetwork? {
        guard let contents = contents[component] else { return nil }
        let key: JSON = ["network": .string(name), "weights": contents, "packing": PackedFilter.packing(for: engine)]
        let about: JSON = [
            "model": .string(model), "network": .string(name), "precision": .string(engine.precision.rawValue),
            "instruction_set": .string(engine.kernels.instructionSet),
        ]
        let isHalf = engine.precision == .bfloat16 || weights.dtypes.keys.allSatisfy { $0 == .f16 }
        let file = try store.file(key, about: about, size: weights.elementCount * (isHalf ? 2 : 4)) { writer in
            defer { weights.releasePages() }
            let build = LayerBuilder(weights: weights, writer: writer, engine: engine)
            layers(build)
            try build.finish()
        }
        return file.map { PackedNetwork($0, store, key) }
    }
}

/// The filters of one network in the cache.
final class PackedNetwork: Sendable {
    private let file: PackedFile
    private let store: PackedStore
    private let key: JSON

    init(_ file: PackedFile, _ store: PackedStore, _ key: JSON) { (self.file, self.store, self.key) = (file, store, key) }

    /// nil if it is damaged: then the file is given up, and the next process makes it anew.
    func filter(_ name: String, _ shape: [Int], _ engine: Engine) -> PackedFilter? {
        let section = file.section(name, parallel: engine.parallel)
        let filter = section.flatMap {
            PackedFilter(shape: shape, panels: $0.bytes, owner: $0.owner, engine: engine)
        }
        if filter == nil { store.forget(key) }
        return filter
    }
}

extension Engine {
    /// Calls `body` for every number below `count`, on this engine's threads.
    func parallel(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
        threads.forEach(count) { task, _ in body(task) }
    }
}
