import Checkpoints
import Files
import Tensors

/// One file of a store: `activations [n · positions, D]` and `timesteps [n]` of n maps, and `checksums [n · positions]`.
///
/// A token's checksum is of its bytes and its map's time step, and is compared whenever the token is read, so that no store
/// need be read through before its first use. Files of older versions have one checksum of everything in their metadata
/// instead; they are read through with their first token.
///
/// Activations are kept in half precision. A file in which one of them exceeds it (65504) keeps all of its own in single
/// precision instead, and says so in its metadata: an infinity would spoil every training step that draws it.
public final class ActivationFile {
    /// The file's path.
    public let path: String
    /// `[n · positions, D]`, F16 or F32.
    public let activations: Weight
    /// The time step of each map.
    public let timesteps: [Int]
    private let positions: Int
    private let mapped: MappedFile
    private let steps: Weight
    /// Of each token; nil in files of older versions.
    private let checksums: Weight?
    /// Of an older version's file as a whole; nil once it was compared.
    private var wholeChecksum: String?

    /// Maps a file; of its activations nothing is read.
    ///
    /// - Throws: `FileFailure` naming the file and what is wrong in it.
    init(path: String, width: Int, positions: Int) throws(FileFailure) {
        let mapped = try MappedFile(path: path)
        let file = try SafetensorsFile(mapped)
        (self.path, self.positions, self.mapped) = (path, positions, mapped)
        (activations, steps) = (try file.weight("activations"), try file.weight("timesteps"))
        checksums = file.names.contains("checksums") ? try file.weight("checksums") : nil
        wholeChecksum = checksums == nil ? file.metadata["checksum"] ?? "missing" : nil
        timesteps = try Self.wholeNumbers(steps, path)
        try Self.check(activations, [timesteps.count * positions, width], [.f16, .f32], path)
        if let checksums { try Self.check(checksums, [timesteps.count * positions], [.i64], path) }
        guard !timesteps.isEmpty else { throw .malformed(file: path, reason: "no activations in it") }
    }

    private static func wholeNumbers(_ steps: Weight, _ path: String) throws(FileFailure) -> [Int] {
        var numbers: [Int] = []
        for step in steps.floats() {
            guard let whole = Int(exactly: step) else {
                throw .malformed(file: path, reason: "timesteps: expected whole numbers, found \(step)")
            }
            numbers.append(whole)
        }
        return numbers
    }

    private static func check(_ weight: Weight, _ shape: [Int], _ types: [DType], _ path: String) throws(FileFailure) {
        guard weight.shape == shape else {
            throw .misshapen(file: path, tensor: weight.name, expected: shape, found: weight.shape)
        }
        guard types.contains(weight.dtype) else {
            let expected = types.map(\.rawValue).joined(separator: " or ")
            throw .malformed(file: path, reason: "\(weight.name): expected \(expected), found \(weight.dtype.rawValue)")
        }
    }

    /// Tokens in the file.
    var tokens: Int { timesteps.count * positions }

    /// Copies `count` tokens from the `first` on, widened to single precision.
    ///
    /// - Throws: `FileFailure.malformed` if one of them is not what was written.
    func copyTokens(from first: Int, count: Int, to target: UnsafeMutablePointer<Float>) throws(FileFailure) {
        precondition(first >= 0 && first + count <= tokens, "tokens \(first)…\(first + count)")
        try verify(first..<first + count)
        let width = activations.shape[1]
        let (bytes, start) = (activations.bytes, first * width)
        if activations.dtype == .f16 {
            for i in 0..<count * width {
                let bits = bytes.loadUnaligned(fromByteOffset: 2 * (start + i), as: UInt16.self)
                target[i] = Float(Float16(bitPattern: bits))
            }
        } else {
            for i in 0..<count * width { target[i] = bytes.loadUnaligned(fromByteOffset: 4 * (start + i), as: Float.self) }
        }
    }

    private func verify(_ range: Range<Int>) throws(FileFailure) {
        let damaged = FileFailure.malformed(file: path, reason: "checksum differs; delete it and capture it again")
        if let checksums {
            for token in range {
                let found = Self.checksum(of: token, activations, timestep: timesteps[token / positions])
                let expected = checksums.bytes.loadUnaligned(fromByteOffset: 8 * token, as: UInt64.self)
                if found != expected { throw damaged }
            }
        } else if let expected = wholeChecksum {
            var checksum = Checksum()
            for weight in [activations, steps] { checksum.add(weight.bytes) }
            if expected != String(checksum.value, radix: 16) { throw damaged }
            wholeChecksum = nil
        }
    }

    /// Says that tokens are read in no order. Files of older versions are read through first.
    func expectRandomAccess() {
        if checksums != nil { mapped.expectRandomAccess() }
    }

    /// Asks the system to read tokens that are wanted soon, without waiting for them.
    func prefetch(_ first: Int, count: Int) {
        let size = activations.dtype.byteCount(activations.shape[1])
        MappedFile.prefetch(UnsafeRawBufferPointer(rebasing: activations.bytes[first * size..<(first + count) * size]))
        guard let checksums else { return }
        MappedFile.prefetch(UnsafeRawBufferPointer(rebasing: checksums.bytes[8 * first..<8 * (first + count)]))
    }

    fileprivate static func checksum(of token: Int, _ activations: Weight, timestep: Int) -> UInt64 {
        let size = activations.dtype.byteCount(activations.shape[1])
        var checksum = Checksum()
        checksum.add(UnsafeRawBufferPointer(rebasing: activations.bytes[token * size..<(token + 1) * size]))
        checksum.add(UInt64(bitPattern: Int64(timestep)))
        return checksum.value
    }
}

extension ActivationFile {
    /// Writes a file, whole or not at all.
    ///
    /// - Throws: `SimpleFailure(.badData)` naming map and time step if an activation is NaN or infinite; `FileFailure`.
    static func write(_ maps: [Tensor], timesteps: [Int], width: Int, to path: String) throws {
        let largest = try largestMagnitude(maps, timesteps, path)
        let activations = Float16(largest).isFinite ? halves(maps, width) : singles(maps, width)
        let steps = Weight(name: "timesteps", tensor: Tensor([maps.count], timesteps.map(Float.init)))
        let tokens = activations.shape[0]
        let checksums = (0..<tokens).map { token in
            Int(bitPattern: UInt(
                checksum(of: token, activations, timestep: timesteps[token * timesteps.count / tokens])))
        }
        var metadata: [String: String] = [:]
        if activations.dtype == .f32 {
            metadata["precision"] = "F32: an activation of magnitude \(largest) exceeds half precision"
        }
        try SafetensorsWriter.write(
            [activations, steps, Weight(name: "checksums", shape: [tokens], integers: checksums)], metadata: metadata,
            to: path, overwrite: false)
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
}
