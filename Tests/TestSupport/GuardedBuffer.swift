/// Floats between guard words, at a chosen misalignment, filled with a NaN of its own bit pattern: reading what was
/// never written spreads NaN, and writing outside changes a guard.
public final class GuardedBuffer {
    public let count: Int
    private let storage: UnsafeMutablePointer<Float>
    private let capacity: Int
    private let start: Int

    private static let guardFloats = 64
    private static let sentinel = Float(bitPattern: 0x7FC0_BEEF)

    /// - Parameter misalignment: floats past a 64-byte boundary.
    public init(_ count: Int, misalignment: Int = 0) {
        self.count = count
        start = Self.guardFloats + misalignment
        capacity = start + count + Self.guardFloats
        let raw = UnsafeMutableRawPointer.allocate(byteCount: capacity * 4, alignment: 64)
        storage = raw.bindMemory(to: Float.self, capacity: capacity)
        storage.initialize(repeating: Self.sentinel, count: capacity)
    }

    public convenience init(_ values: [Float], misalignment: Int = 0) {
        self.init(values.count, misalignment: misalignment)
        values.withUnsafeBufferPointer {
            if let base = $0.baseAddress { pointer.update(from: base, count: values.count) }
        }
    }

    deinit { storage.deallocate() }

    public var pointer: UnsafeMutablePointer<Float> { storage + start }

    public var array: [Float] { Array(UnsafeBufferPointer(start: pointer, count: count)) }

    /// Whether nothing outside the `count` floats was written.
    public var isIntact: Bool {
        (0..<capacity).allSatisfy {
            ($0 >= start && $0 < start + count) || storage[$0].bitPattern == Self.sentinel.bitPattern
        }
    }
}
