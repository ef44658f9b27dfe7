/// Little-endian numbers from untrusted bytes: every read is checked, none traps.
struct ByteReader {
    let bytes: UnsafeRawBufferPointer
    var position: Int

    struct End: Error {}

    init(_ bytes: UnsafeRawBufferPointer, at position: Int = 0) throws(End) {
        guard (0...bytes.count).contains(position) else { throw End() }
        self.bytes = bytes
        self.position = position
    }

    mutating func number<T: FixedWidthInteger>(_: T.Type) throws(End) -> T {
        guard bytes.count - position >= MemoryLayout<T>.size else { throw End() }
        defer { position += MemoryLayout<T>.size }
        return T(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: T.self))
    }

    /// A number as `Int`, which files of this century fit.
    mutating func int<T: FixedWidthInteger>(_ type: T.Type) throws(End) -> Int {
        guard let value = Int(exactly: try number(type)) else { throw End() }
        return value
    }

    mutating func take(_ count: Int) throws(End) -> UnsafeRawBufferPointer {
        guard count >= 0, count <= bytes.count - position else { throw End() }
        defer { position += count }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
    }

    mutating func skip(_ count: Int) throws(End) { _ = try take(count) }
}
