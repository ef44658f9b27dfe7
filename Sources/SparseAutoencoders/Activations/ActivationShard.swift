import Checkpoints
import Files
import Tensors

/// One file of a store: `activations [n · positions, D]` and `timesteps [n]` of n maps, with a checksum of both in its
/// metadata.
///
/// Activations are kept in half precision. A shard in which one of them exceeds it (65504) keeps all of its own in single
/// precision instead, and says so in its metadata: an infinity would spoil every training step that draws it.
public struct ActivationShard: Sendable {
    /// `[n · positions, D]`, F16 or F32.
    public let activations: Weight
    /// The time step of each map.
    public let timesteps: [Int]

    /// - Throws: `FileFailure` naming the file and what is wrong in it.
    init(path: String, width: Int, positions: Int, verify: Bool) throws(FileFailure) {
        let file = try SafetensorsFile(path: path)
        let (activations, steps) = (try file.weight("activations"), try file.weight("timesteps"))
        guard activations.shape == [steps.count * positions, width] else {
            throw .misshapen(
                file: path, tensor: "activations", expected: [steps.count * positions, width], found: activations.shape)
        }
        guard activations.dtype == .f16 || activations.dtype == .f32 else {
            throw .malformed(file: path, reason: "activations: expected F16 or F32, found \(activations.dtype.rawValue)")
        }
        if verify, file.metadata["checksum"] != Self.checksum([activations, steps]) {
            throw .malformed(file: path, reason: "checksum differs; delete it and capture it again")
        }
        var timesteps: [Int] = []
        for step in steps.floats() {
            guard let whole = Int(exactly: step) else {
                throw .malformed(file: path, reason: "timesteps: expected whole numbers, found \(step)")
            }
            timesteps.append(whole)
        }
        self.activations = activations
        self.timesteps = timesteps
    }

    /// Copies `count` elements from the `first` on, widened to single precision.
    func copyElements(from first: Int, count: Int, to target: UnsafeMutablePointer<Float>) {
        let (bytes, width) = (activations.bytes, activations.dtype.byteWidth)
        precondition(first >= 0 && (first + count) * width <= bytes.count, "elements \(first)…\(first + count)")
        if activations.dtype == .f16 {
            for i in 0..<count {
                let bits = bytes.loadUnaligned(fromByteOffset: 2 * (first + i), as: UInt16.self)
                target[i] = Float(Float16(bitPattern: bits))
            }
        } else {
            for i in 0..<count { target[i] = bytes.loadUnaligned(fromByteOffset: 4 * (first + i), as: Float.self) }
        }
    }

    /// Writes a shard, whole or not at all.
    ///
    /// - Throws: `SimpleFailure(.badData)` naming map and time step if an activation is NaN or infinite; `FileFailure`.
    static func write(_ maps: [Tensor], timesteps: [Int], width: Int, to path: String) throws {
        let largest = try largestMagnitude(maps, timesteps, path)
        let activations = Float16(largest).isFinite ? halves(maps, width) : singles(maps, width)
        let steps = Weight(name: "timesteps", tensor: Tensor([maps.count], timesteps.map(Float.init)))
        var metadata = ["checksum": checksum([activations, steps])]
        if activations.dtype == .f32 {
            metadata["precision"] = "F32: an activation of magnitude \(largest) exceeds half precision"
        }
        try SafetensorsWriter.write([activations, steps], metadata: metadata, to: path, overwrite: false)
    }

    private static func largestMagnitude(_ maps: [Tensor], _ timesteps: [Int], _ path: String) throws -> Float {
        var largest: Float = 0
        for (index, map) in maps.enumerated() {
            for i in 0..<map.count {
                let magnitude = abs(map.pointer[i])
                guard magnitude.isFinite else {
                    throw SimpleFailure(
                        .badData, "\(path): map \(index), time step \(timesteps[index]): an activation is "
                            + "\(map.pointer[i]); the model overflows there and cannot be captured")
                }
                largest = max(largest, magnitude)
            }
        }
        return largest
    }

    private static func halves(_ maps: [Tensor], _ width: Int) -> Weight {
        let count = maps.reduce(0) { $0 + $1.count }
        let half = Tensor([max(1, (count + 1) / 2)])
        let bits = UnsafeMutableRawPointer(half.pointer).bindMemory(to: UInt16.self, capacity: half.count * 2)
        var next = 0
        for map in maps {
            for i in 0..<map.count { bits[next + i] = Float16(map.pointer[i]).bitPattern }
            next += map.count
        }
        return Weight(
            name: "activations", shape: [count / width, width], dtype: .f16,
            bytes: UnsafeRawBufferPointer(start: bits, count: count * 2), owner: half.storage)
    }

    private static func singles(_ maps: [Tensor], _ width: Int) -> Weight {
        let all = Tensor([maps.reduce(0) { $0 + $1.count } / width, width])
        var next = all.pointer
        for map in maps {
            next.update(from: map.pointer, count: map.count)
            next += map.count
        }
        return Weight(name: "activations", tensor: all)
    }

    /// FNV-1a over 8-byte words (the last padded with zeros), to find damage, not forgery.
    private static func checksum(_ weights: [Weight]) -> String {
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
