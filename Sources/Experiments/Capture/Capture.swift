import Files
import Foundation
import SparseAutoencoders
import Tensors

/// Writes activations of layers into stores, FOLDER/LAYER, a shard of pictures at a time. Run again after a
/// stop or a crash, it goes on: complete shards are kept.
public struct Capture {
    /// An event of the capture.
    public enum Event: Sendable {
        /// The number of complete shards, and of pictures still to be drawn.
        case began(shardsDone: Int, shards: Int, picturesLeft: Int)
        /// A picture of a shard was drawn; shards count from 0.
        case drew(shard: Int, of: Int)
    }

    /// The size of one layer's store.
    public struct Size: Sendable, Equatable {
        /// The hook point's name.
        public let layer: String
        /// How many pictures are captured.
        public let pictures: Int
        /// Maps of a picture.
        public let steps: Int
        /// Positions of a map, height · width of the layer.
        public let positions: Int
        /// Channels of a position.
        public let channels: Int
        /// In half precision.
        public var bytes: Int { pictures * bytesPerPicture }
        var bytesPerPicture: Int { steps * positions * channels * 2 }
    }

    /// Of each layer.
    public let sizes: [Size]
    private let activations: GeneratedActivations
    private let pictures: Int
    private let picturesPerShard: Int

    /// Loads nothing. For the identity of the model it reads every weight that the session's checksums do not know.
    ///
    /// - Parameters:
    ///   - request: without a limit, one picture for each prompt is drawn.
    ///   - check: asked after every U-Net call; what it throws ends the capture between two shards.
    /// - Throws: as `GeneratedActivations`.
    public init(
        _ session: ModelSession, _ request: CaptureRequest, picturesPerShard: Int = 16,
        check: @escaping () throws -> Void = {}
    ) throws {
        guard picturesPerShard > 0 else {
            throw SimpleFailure(.usage, "\(picturesPerShard) pictures per shard: expected at least 1")
        }
        var request = request
        let pictures = request.limit ?? request.prompts.count
        request.limit = pictures
        let activations = try GeneratedActivations(session, request) { _, _, _ in try check() }
        (self.activations, self.pictures, self.picturesPerShard) = (activations, pictures, picturesPerShard)
        sizes = activations.layers.map {
            Size(
                layer: $0.name, pictures: pictures, steps: activations.mapsPerPicture, positions: $0.positions,
                channels: $0.width)
        }
    }

    /// Draws what is missing.
    ///
    /// - Returns: the stores' folders.
    /// - Throws: what the check throws; a `Failure`: `.usage` if there is a store made otherwise,
    ///   `.cannotWrite` if the disk has no room for what is missing.
    public func run(into folder: String, report: (Event) -> Void = { _ in }) throws -> [String] {
        try OutputCheck.folder(folder)
        let stores = try activations.layers.map { try store($0, in: folder) }
        let shards = stores[0].shardsInAll
        let missing = (0..<shards).filter { shard in stores.contains { !$0.has(shard: shard) } }
        let left = missing.reduce(0) { $0 + stores[0].pictures(shard: $1).count }
        try checkSpace(folder, needed: sizes.reduce(0) { $0 + $1.bytesPerPicture } * left)
        report(.began(shardsDone: shards - missing.count, shards: shards, picturesLeft: left))
        for shard in missing {
            try write(shard, stores) { report(.drew(shard: shard, of: shards)) }
        }
        return stores.map(\.folder)
    }

    private func store(
        _ layer: (name: String, width: Int, positions: Int), in folder: String
    ) throws -> ActivationStore {
        let (path, origin) = ("\(folder)/\(layer.name)", activations.origin)
        if FileSystem.isFile("\(path)/store.json") {
            try ModelCheck.sameModel(try JSON.read("\(path)/store.json")["origin"], origin, at: "\(path)/store.json")
        }
        return try ActivationStore(
            folder: path, layer: layer.name, width: layer.width, positions: layer.positions, pictures: pictures,
            picturesPerShard: picturesPerShard, origin: origin)
    }

    private func checkSpace(_ folder: String, needed: Int) throws {
        let attributes = try? FileManager.default.attributesOfFileSystem(forPath: folder)
        guard let free = (attributes?[.systemFreeSize] as? NSNumber)?.intValue, free < needed else { return }
        throw SimpleFailure(
            .cannotWrite, "\(folder): \(Self.text(bytes: needed)) to write, \(Self.text(bytes: free)) free; give another "
                + "folder or fewer pictures")
    }

    private func write(_ shard: Int, _ stores: [ActivationStore], drawn: () -> Void) throws {
        var maps = [[Tensor]](repeating: [], count: stores.count)
        var timesteps: [Int] = []
        for index in stores[0].pictures(shard: shard) {
            guard let picture = try activations.picture(index) else { break }
            for layer in stores.indices { maps[layer] += picture[layer] }
            timesteps += activations.timesteps
            drawn()
        }
        for (store, maps) in zip(stores, maps) where !store.has(shard: shard) {
            try store.write(shard: shard, maps: maps, timesteps: timesteps)
        }
    }

    /// `12.3 MB` or `4.56 GB`.
    package static func text(bytes: Int) -> String {
        bytes < 1_000_000_000
            ? String(format: "%.1f MB", Double(bytes) / 1e6) : String(format: "%.2f GB", Double(bytes) / 1e9)
    }
}
