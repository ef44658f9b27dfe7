/// Damages byte strings in ways that parsers trip over. The same seed makes the same damage.
public struct Mutator: Sendable {
    private var state: UInt64

    public init(seed: UInt64) {
        state = seed
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014).
    private mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// A number in `0..<bound`, or 0 if that is empty.
    public mutating func below(_ bound: Int) -> Int {
        bound > 0 ? Int(next() % UInt64(bound)) : 0
    }

    /// One to eight changes of `input`; `others` lend pieces and `words` are inserted whole. Half of the JSON texts and
    /// safetensors files stay well-formed.
    public mutating func mutate(_ input: [UInt8], others: [[UInt8]], words: [[UInt8]]) -> [UInt8] {
        if below(2) == 0, let changed = restructure(input, words: words) { return changed }
        var bytes = input
        for _ in 0...below(8) { change(&bytes, others: others, words: words) }
        return bytes
    }

    private mutating func change(_ bytes: inout [UInt8], others: [[UInt8]], words: [[UInt8]]) {
        let position = below(bytes.count + 1)
        let length = min(bytes.count - position, 1 << below(8))
        switch below(9) {
        case 0 where position < bytes.count: bytes[position] ^= 1 << UInt8(below(8))
        case 1 where position < bytes.count: bytes[position] = UInt8(below(256))
        case 2: bytes.removeSubrange(position..<position + length)
        case 3: bytes.insert(contentsOf: Array(bytes[position..<position + length]), at: below(bytes.count + 1))
        case 4: bytes.insert(contentsOf: (0...below(8)).map { _ in UInt8(below(256)) }, at: position)
        case 5: overwriteNumber(&bytes, at: position)
        case 6 where !words.isEmpty: bytes.insert(contentsOf: words[below(words.count)], at: position)
        case 7 where !others.isEmpty: splice(&bytes, at: position, from: others[below(others.count)])
        case 8 where below(4) == 0: bytes.removeSubrange(position...)
        default: break
        }
    }

    /// A little-endian number of 1, 2, 4 or 8 bytes near a boundary: 0, the largest values, the length of the input.
    private mutating func overwriteNumber(_ bytes: inout [UInt8], at position: Int) {
        let bases: [UInt64] = [0, .max, 1 << 63, 1 << 31, 1 << 32, 1 << 16, UInt64(bytes.count), UInt64(position)]
        let value = bases[below(bases.count)] &+ UInt64(below(5)) &- 2
        for i in 0..<1 << below(4) where position + i < bytes.count {
            bytes[position + i] = UInt8(truncatingIfNeeded: value >> UInt64(8 * i))
        }
    }

    private mutating func splice(_ bytes: inout [UInt8], at position: Int, from other: [UInt8]) {
        let start = below(other.count + 1)
        let end = min(other.count, start + (1 << below(8)))
        bytes.replaceSubrange(position..<min(bytes.count, position + below(64)), with: other[start..<end])
    }
}
