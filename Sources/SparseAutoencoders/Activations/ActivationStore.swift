import Checkpoints
import Files
import Foundation
import Tensors

/// Activations of one layer on disk: `store.json` and `shard-00000.safetensors` …, each with `activations [n, D]`
/// in half precision, `timesteps` (one per map), and a checksum of both in its metadata. All shards but the last hold the
/// same number of pictures, so those that are there say where to go on.
public struct ActivationStore: Sendable {
    public let folder: String
    public let layer: String
    public let width: Int
    /// Tokens of one map.
    public let positions: Int
    /// Pictures of the complete store.
    public let pictures: Int
    public let picturesPerShard: Int
    /// What the activations were made from.
    public let origin: JSON

    /// Opens a store.
    ///
    /// - Throws: `SimpleFailure(.missingInput)` if there is none or it is not complete; `FileFailure`.
    public init(folder: String) throws {
        let path = "\(folder)/store.json"
        guard FileManager.default.fileExists(atPath: path) else {
            throw SimpleFailure(.missingInput, "\(path): no such file; `lvo capture` makes stores of activations")
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
                .missingInput, "\(folder): \(shardCount) of \(shardsInAll) shards; run the same `lvo capture` again to "
                    + "complete it")
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

    public func path(shard: Int) -> String {
        let digits = String(shard)
        return "\(folder)/shard-" + String(repeating: "0", count: max(0, 5 - digits.count)) + digits + ".safetensors"
    }

    public var shardsInAll: Int { (pictures + picturesPerShard - 1) / picturesPerShard }

    public func has(shard: Int) -> Bool { FileManager.default.fileExists(atPath: path(shard: shard)) }

    /// Shards that are there; each was written whole.
    public var shardCount: Int { (0..<shardsInAll).count { has(shard: $0) } }

    /// Writes one shard, whole or not at all: maps `[positions, width]` with their time steps.
    public func write(shard: Int, maps: [Tensor], timesteps: [Int]) throws {
        precondition(
            maps.count == timesteps.count && maps.allSatisfy { $0.count == positions * width }, "shard \(shard)")
        let half = Tensor([max(1, (maps.count * positions * width + 1) / 2)])
        let halves = UnsafeMutableRawPointer(half.pointer).bindMemory(to: UInt16.self, capacity: half.count * 2)
        var next = 0
        for map in maps {
            for i in 0..<map.count { halves[next + i] = Float16(map.pointer[i]).bitPattern }
            next += map.count
        }
        let steps = Tensor([maps.count], timesteps.map(Float.init))
        let activations = Weight(
            name: "activations", shape: [maps.count * positions, width], dtype: .f16,
            bytes: UnsafeRawBufferPointer(start: halves, count: next * 2), owner: half.storage)
        let timesteps = Weight(name: "timesteps", tensor: steps)
        try SafetensorsWriter.write(
            [activations, timesteps], metadata: ["checksum": Self.checksum([activations, timesteps])],
            to: path(shard: shard), overwrite: false)
    }

    /// Opens all shards.
    ///
    /// - Parameter verify: reads everything once and compares the checksums.
    /// - Throws: `Failure` naming the shard.
    public func open(verify: Bool = false) throws -> [(activations: Weight, timesteps: [Int])] {
        try (0..<shardsInAll).map { shard in
            let file = try SafetensorsFile(path: path(shard: shard))
            let (activations, timesteps) = (try file.weight("activations"), try file.weight("timesteps"))
            guard activations.shape.count == 2, activations.shape[1] == width, activations.dtype == .f16,
                activations.shape[0] == timesteps.count * positions
            else {
                throw FileFailure.misshapen(
                    file: file.path, tensor: "activations", expected: [timesteps.count * positions, width],
                    found: activations.shape)
            }
            if verify, file.metadata["checksum"] != Self.checksum([activations, timesteps]) {
                throw FileFailure.malformed(
                    file: file.path, reason: "checksum differs; delete it and run the same `lvo capture` again")
            }
            return (activations, timesteps.floats().map { Int($0) })
        }
    }

    /// FNV-1a over 8-byte words (the last padded with zeros), to find damage, not forgery.
    static func checksum(_ weights: [Weight]) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for weight in weights {
            var offset = 0
            while offset + 8 <= weight.bytes.count {
                hash = (hash ^ weight.bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) &* 0x100_0000_01B3
                offset += 8
            }
            for byte in weight.bytes[offset...] { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        }
        return String(hash, radix: 16)
    }
}

extension JSON {
    /// The first member, going down into objects, that is not alike in both.
    func difference(from other: JSON) -> (key: String, found: String, wanted: String)? {
        for (key, wanted) in other.object ?? JSONObject() {
            let found = self[key] ?? .null
            if found.object != nil, wanted.object != nil {
                if let inner = found.difference(from: wanted) { return inner }
            } else if found.serialized() != wanted.serialized() {
                return (key, found.serialized(), wanted.serialized())
            }
        }
        for (key, found) in object ?? JSONObject() where other[key] == nil { return (key, found.serialized(), "null") }
        return nil
    }
}
