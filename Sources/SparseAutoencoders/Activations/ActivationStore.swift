import Checkpoints
import Files
import Foundation
import Tensors

/// Activations of one layer on disk: `store.json` and `shard-00000.safetensors` … (`ActivationShard`). All shards but
/// the last hold the same number of pictures, so those that are there say where to go on.
public struct ActivationStore: Sendable {
    /// Where the files are.
    public let folder: String
    /// The hook point's name.
    public let layer: String
    /// Channels of a token, `D`.
    public let width: Int
    /// Tokens of one map.
    public let positions: Int
    /// Pictures of the complete store.
    public let pictures: Int
    /// Pictures of every shard but the last.
    public let picturesPerShard: Int
    /// What the activations were made from.
    public let origin: JSON

    /// Opens a store.
    ///
    /// - Throws: `SimpleFailure(.missingInput)` if there is none or it is not complete; `FileFailure`.
    public init(folder: String) throws {
        let path = "\(folder)/store.json"
        guard FileManager.default.fileExists(atPath: path) else {
            throw SimpleFailure(.missingInput, "\(path): no such file; expected a store of captured activations")
        }
        let file = try ConfigFile(path: path)
        self.folder = folder
        layer = try file.string("layer")
        width = try file.size("width")
        positions = try file.size("positions")
        pictures = try file.size("pictures")
        picturesPerShard = try file.size("pictures_per_shard")
        origin = file.json["origin"] ?? .null
        guard shardCount == shardsInAll else {
            throw SimpleFailure(
                .missingInput, "\(folder): \(shardCount) of \(shardsInAll) shards; capture the rest to complete it")
        }
    }

    /// Makes a store, or opens one that was made alike.
    ///
    /// - Throws: `SimpleFailure(.usage)` naming what differs if there is another one.
    public init(
        folder: String, layer: String, width: Int, positions: Int, pictures: Int, picturesPerShard: Int,
        origin: JSON = .null
    ) throws {
        self.folder = folder
        self.layer = layer
        self.width = width
        self.positions = positions
        self.pictures = pictures
        self.picturesPerShard = picturesPerShard
        self.origin = origin
        let json: JSON = [
            "layer": .string(layer), "width": .integer(width), "positions": .integer(positions),
            "pictures": .integer(pictures), "pictures_per_shard": .integer(picturesPerShard), "dtype": "F16",
            "origin": origin,
        ]
        let path = "\(folder)/store.json"
        if FileManager.default.fileExists(atPath: path) {
            if let (key, found, wanted) = try JSON.read(path).difference(from: json) {
                throw SimpleFailure(
                    .usage, "\(path): the store there has \(key) \(found), not \(wanted); give another folder")
            }
        } else {
            try OutputFile.makeFolder(folder)
            try json.write(to: path, overwrite: false)
        }
    }

    /// Pictures of one shard.
    public func pictures(shard: Int) -> Range<Int> {
        shard * picturesPerShard..<min(pictures, (shard + 1) * picturesPerShard)
    }

    /// The shard's file.
    public func path(shard: Int) -> String {
        let digits = String(shard)
        return "\(folder)/shard-" + String(repeating: "0", count: max(0, 5 - digits.count)) + digits + ".safetensors"
    }

    /// Shards of the complete store.
    public var shardsInAll: Int { (pictures + picturesPerShard - 1) / picturesPerShard }

    /// Whether the shard is there.
    public func has(shard: Int) -> Bool { FileManager.default.fileExists(atPath: path(shard: shard)) }

    /// Shards that are there; each was written whole.
    public var shardCount: Int { (0..<shardsInAll).count { has(shard: $0) } }

    /// Writes one shard, whole or not at all: maps `[positions, width]` with their time steps.
    ///
    /// - Precondition: as many time steps as maps, and every map has the store's size.
    /// - Throws: `SimpleFailure(.badData)` if an activation is NaN or infinite; `FileFailure`.
    public func write(shard: Int, maps: [Tensor], timesteps: [Int]) throws {
        precondition(
            maps.count == timesteps.count && maps.allSatisfy { $0.count == positions * width }, "shard \(shard)")
        try ActivationShard.write(maps, timesteps: timesteps, width: width, to: path(shard: shard))
    }

    /// Opens all shards. They are memory-mapped; nothing is read until it is used.
    ///
    /// - Parameter verify: reads everything once and compares the checksums.
    /// - Throws: `FileFailure` naming the shard.
    public func open(verify: Bool = false) throws -> [ActivationShard] {
        try (0..<shardsInAll).map {
            try ActivationShard(path: path(shard: $0), width: width, positions: positions, verify: verify)
        }
    }

    /// Calls `body` with each map `[positions, width]` and its time step, in the order in which they were stored.
    ///
    /// - Throws: `FileFailure` naming the shard; what `body` throws.
    public func forEachMap(_ body: (_ map: Tensor, _ timestep: Int) throws -> Void) throws {
        for shard in try open() {
            for (index, timestep) in shard.timesteps.enumerated() {
                let map = Tensor([positions, width])
                shard.copyElements(from: index * map.count, count: map.count, to: map.pointer)
                try body(map, timestep)
            }
        }
    }
}
