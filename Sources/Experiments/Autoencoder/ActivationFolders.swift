import Files
import SparseAutoencoders

/// Folders of captured activations, to be read together: each a store, or a folder of stores by layer.
///
/// Of a layer each folder has a store, or a part of one: folders whose stores were made alike, each filled by some of the
/// machines, are one store together (`ActivationStore.joined`).
public struct ActivationFolders: Sendable {
    /// In the order in which they are read.
    public let folders: [String]

    /// - Precondition: at least one folder.
    public init(_ folders: [String]) {
        precondition(!folders.isEmpty, "no folders of activations")
        self.folders = folders
    }

    /// The layers of which any folder has activations so far, sorted.
    ///
    /// - Throws: `FileFailure` if a store's description cannot be read.
    public func layers() throws -> [String] {
        Set(try folders.flatMap(Self.stores).map { try ActivationStore(part: $0).layer }).sorted()
    }

    /// A layer's stores, complete or not, in the folders' order.
    ///
    /// - Throws: `SimpleFailure(.missingInput)` if a folder has none of the layer; `.usage` for another model's;
    ///   `FileFailure`.
    public func stores(of layer: String) throws -> [ActivationStore] {
        let parts = try folders.map { folder in
            let all = try Self.stores(folder).map { try ActivationStore(part: $0) }
            guard let store = all.first(where: { $0.layer == layer }) else {
                throw SimpleFailure(.missingInput, "\(folder): no activations of \(layer) there")
            }
            return store
        }
        let stores = ActivationStore.joined(parts)
        for store in stores.dropFirst() { try Self.requireSameModel(store, stores[0]) }
        return stores
    }

    private static func requireSameModel(_ store: ActivationStore, _ first: ActivationStore) throws {
        guard let model = store.origin["model"], let known = first.origin["model"] else { return }
        let changes = ModelIdentity(json: model).changes(from: ModelIdentity(json: known))
        guard changes.isEmpty else {
            throw SimpleFailure(
                .usage, "\(store.folders[0]): activations of another model than those of \(first.folders[0]) "
                    + "(\(changes.joined(separator: ", ")) differ); train on them apart")
        }
    }

    /// All layers' stores, each complete.
    ///
    /// - Throws: `SimpleFailure(.missingInput)` if there is none, or one is not complete; as `stores(of:)`.
    public func complete() throws -> [[ActivationStore]] {
        let layers = try layers()
        guard !layers.isEmpty else { throw missing }
        let stores = try layers.map(stores)
        for store in stores.joined() { try store.requireComplete() }
        return stores
    }

    /// None of the folders has a store.
    var missing: SimpleFailure {
        SimpleFailure(
            .missingInput, "\(folders.joined(separator: ", ")): no activations there (store.json, or LAYER/store.json)")
    }

    /// The stores of a folder: itself or its subfolders, by name.
    private static func stores(_ folder: String) -> [String] {
        if FileSystem.isFile(ActivationStore.description(folder)) { return [folder] }
        let names = (try? FileSystem.entries(folder)) ?? []
        return names.map { "\(folder)/\($0)" }.filter { FileSystem.isFile(ActivationStore.description($0)) }
    }
}
