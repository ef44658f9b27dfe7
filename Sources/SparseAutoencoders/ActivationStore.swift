import Checkpoints
import Foundation
import Tensors

/// Activations of one layer on disk: `store.json` and `shard-00000.safetensors` …, each with `activations [n, D]`
/// in half precision, `timesteps` (one per map), and a checksum of both in its metadata. A shard holds the same
/// number of pictures as every other, so the shards that are there say where to go on.
public struct ActivationStore: Sendable {
    public let folder: String
    public let layer: String
    public let width: Int
    /// Tokens of one map.
    public let positions: Int
    public let picturesPerShard: Int

    /// Opens a store.
    public init(folder: String) throws {
        let file = try ConfigFile(path: "\(folder)/store.json")
        self.folder = folder
        layer = try file.string("layer")
        width = try file.size("width")
        positions = try file.size("positions")
        picturesPerShard = try file.size("pictures_per_shard")
    }

    /// Makes a store, or opens one that was made alike.
    ///
    /// - Throws: `SimpleFailure(.usage)` if there is one of another layer or size.
    public init(folder: String, layer: String, width: Int, positions: Int, picturesPerShard: Int) throws {
        self.folder = folder
        self.layer = layer
        self.width = width
        self.positions = positions
        self.picturesPerShard = picturesPerShard
        let json: JSON = [
            "layer": .string(layer), "width": .integer(width), "positions": .integer(positions),
            "pictures_per_shard": .integer(picturesPerShard), "dtype": "F16",
        ]
        let path = "\(folder)/store.json"
        if FileManager.default.fileExists(atPath: path) {
            guard try JSON.read(path) == json else {
                throw SimpleFailure(.usage, "\(path): a store of another layer or size; give another folder")
            }
        } else {
            try OutputFile.makeFolder(folder)
            try json.write(to: path, overwrite: false)
        }
    }

    /// Bytes that `maps` maps take.
    public func bytes(maps: Int) -> Int { maps * positions * width * 2 }

    public func path(shard: Int) -> String {
        let digits = String(shard)
        return "\(folder)/shard-" + String(repeating: "0", count: max(0, 5 - digits.count)) + digits + ".safetensors"
    }

    /// Complete shards: 0 ..< this.
    public var shardCount: Int {
        var count = 0
        while FileManager.default.fileExists(atPath: path(shard: count)) { count += 1 }
        return count
    }

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
        try (0..<shardCount).map { shard in
            let file = try SafetensorsFile(path: path(shard: shard))
            let (activations, timesteps) = (try file.weight("activations"), try file.weight("timesteps"))
            guard activations.shape.count == 2, activations.shape[1] == width, activations.dtype == .f16,
                activations.shape[0] == timesteps.count * positions
            else {
                throw CheckpointFailure.misshapen(
                    file: file.path, tensor: "activations", expected: [timesteps.count * positions, width],
                    found: activations.shape)
            }
            if verify, file.metadata["checksum"] != Self.checksum([activations, timesteps]) {
                throw CheckpointFailure.malformed(
                    file: file.path, reason: "checksum differs; delete it and the shards after it, and capture again")
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

/// Tokens of a store in a random order over all of its shards, a new order in each epoch, without end.
public final class StoreSource: ActivationSource {
    public let width: Int
    public let positions: Int
    /// Tokens of the store.
    public let tokens: Int
    private let shards: [(activations: Weight, timesteps: [Int])]
    private let starts: [Int]
    private let group: Int
    private let seed: UInt64
    private var drawn = 0

    /// - Parameter keepsSamples: maps stay whole, for rules that select per sample.
    /// - Throws: `Failure` if the store is damaged or empty.
    public init(_ store: ActivationStore, keepsSamples: Bool, seed: UInt64) throws {
        shards = try store.open()
        (width, positions) = (store.width, store.positions)
        group = keepsSamples ? positions : 1
        self.seed = seed
        var total = 0
        starts = shards.map { shard in
            defer { total += shard.activations.shape[0] }
            return total
        }
        tokens = total
        guard total > 0 else { throw SimpleFailure(.missingInput, "\(store.folder): no activations in it") }
    }

    public func next(_ count: Int) throws -> Tensor? {
        guard count % group == 0 else {
            throw SimpleFailure(.usage, "batch of \(count) tokens: not a multiple of the \(group) of a sample")
        }
        let batch = Tensor([count, width])
        let groups = tokens / group
        var permutation = IndexPermutation(count: groups, seed: seed, epoch: drawn / groups)
        for index in 0..<count / group {
            if drawn % groups == 0 { permutation = IndexPermutation(count: groups, seed: seed, epoch: drawn / groups) }
            let token = permutation(drawn % groups) * group
            copy(token, to: batch.pointer + index * group * width)
            drawn += 1
        }
        return batch
    }

    /// Widens the tokens of one group.
    private func copy(_ token: Int, to target: UnsafeMutablePointer<Float>) {
        var (low, high) = (0, starts.count - 1)
        while low < high {
            let middle = (low + high + 1) / 2
            if starts[middle] <= token { low = middle } else { high = middle - 1 }
        }
        let offset = (token - starts[low]) * width * 2
        let bytes = shards[low].activations.bytes
        for i in 0..<group * width {
            target[i] = Float(Float16(bitPattern: bytes.loadUnaligned(fromByteOffset: offset + 2 * i, as: UInt16.self)))
        }
    }

    public var state: SourceState { SourceState(json: ["drawn": .integer(drawn)]) }

    public func restore(_ state: SourceState) throws {
        guard let drawn = state.json["drawn"]?.int, drawn >= 0 else {
            throw SimpleFailure(.badData, "checkpoint: no place in the activations")
        }
        self.drawn = drawn
    }
}
