/// FNV-1a over 8-byte words (over bytes behind the last whole word), to find damage, not forgery.
package struct Checksum: Sendable {
    package private(set) var value: UInt64 = Self.start

    private static let start: UInt64 = 0xCBF2_9CE4_8422_2325
    private static let prime: UInt64 = 0x100_0000_01B3

    package init() {}

    package mutating func add(_ word: UInt64) { value = (value ^ word) &* Self.prime }

    package mutating func add(_ bytes: UnsafeRawBufferPointer) {
        var offset = 0
        while offset + 8 <= bytes.count {
            add(bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            offset += 8
        }
        for byte in bytes[offset...] { add(UInt64(byte)) }
    }

    /// Of bytes as eight sequences, word i in sequence i mod 8, whose values and the rest are then added: one sequence waits
    /// for its multiplications, eight keep up with memory.
    package static func interleaved(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var lanes = SIMD8<UInt64>(repeating: start)
        var offset = 0
        while offset + 64 <= bytes.count {
            lanes = (lanes ^ bytes.loadUnaligned(fromByteOffset: offset, as: SIMD8<UInt64>.self)) &* prime
            offset += 64
        }
        var checksum = Checksum()
        for lane in lanes.indices { checksum.add(lanes[lane]) }
        checksum.add(UnsafeRawBufferPointer(rebasing: bytes[offset...]))
        return checksum.value
    }
}
