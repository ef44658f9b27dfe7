/// How a number is stored in a weights file.
public enum DType: String, Sendable, CaseIterable {
    case f64 = "F64"
    case f32 = "F32"
    case f16 = "F16"
    case bf16 = "BF16"
    case i64 = "I64"
    case i32 = "I32"
    case u8 = "U8"
    case bool = "BOOL"

    /// Bytes of an element.
    public var byteWidth: Int {
        switch self {
        case .f64, .i64: 8
        case .f32, .i32: 4
        case .f16, .bf16: 2
        case .u8, .bool: 1
        }
    }
}

/// A named tensor as it lies in a file: raw bytes that stay where they are (usually a memory map) until a layer
/// packs them. `owner` keeps the bytes alive. Elements are row-major, little-endian, possibly unaligned.
public struct Weight: @unchecked Sendable {
    /// The tensor's name in its file.
    public let name: String
    /// Extents, row-major.
    public let shape: [Int]
    /// How the elements are stored.
    public let dtype: DType
    /// The elements; valid while `owner` lives.
    public let bytes: UnsafeRawBufferPointer
    /// What keeps the bytes alive.
    public let owner: AnyObject

    /// - Precondition: there are as many bytes as shape and type say.
    public init(name: String, shape: [Int], dtype: DType, bytes: UnsafeRawBufferPointer, owner: AnyObject) {
        precondition(bytes.count == shape.reduce(1, *) * dtype.byteWidth, "weight \(name): \(bytes.count) bytes")
        self.name = name
        self.shape = shape
        self.dtype = dtype
        self.bytes = bytes
        self.owner = owner
    }

    /// A weight that lives in memory.
    public init(name: String, tensor: Tensor) {
        self.init(
            name: name, shape: tensor.shape, dtype: .f32,
            bytes: UnsafeRawBufferPointer(start: tensor.pointer, count: tensor.count * 4), owner: tensor.storage)
    }

    /// Whole numbers in memory, as 64-bit integers.
    public init(name: String, shape: [Int], integers: [Int]) {
        let storage = Storage(pointer: Storage.allocate(2 * integers.count), capacity: 2 * integers.count, workspace: nil)
        let bytes = UnsafeMutableRawBufferPointer(start: storage.pointer, count: 8 * integers.count)
        integers.withUnsafeBytes { bytes.copyMemory(from: $0) }
        self.init(name: name, shape: shape, dtype: .i64, bytes: UnsafeRawBufferPointer(bytes), owner: storage)
    }

    /// The elements of an I64 tensor; nil for the other kinds.
    public func integers() -> [Int]? {
        guard dtype == .i64 else { return nil }
        return (0..<count).map { Int(bytes.loadUnaligned(fromByteOffset: 8 * $0, as: Int64.self)) }
    }

    public var count: Int { shape.reduce(1, *) }

    /// All elements widened to float32.
    public func floats() -> [Float] {
        [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
            copyFloats(into: buffer.baseAddress!)
            initialized = count
        }
    }

    /// Writes all elements, widened (or, from 64 bits, rounded) to float32, at `target`.
    public func copyFloats(into target: UnsafeMutablePointer<Float>) {
        func load<T>(_: T.Type, _ convert: (T) -> Float) {
            for i in 0..<count {
                target[i] = convert(bytes.loadUnaligned(fromByteOffset: i * MemoryLayout<T>.stride, as: T.self))
            }
        }
        switch dtype {
        case .f32: UnsafeMutableRawPointer(target).copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
        case .f64: load(Double.self) { Float($0) }
        case .f16: load(UInt16.self) { Float(Float16(bitPattern: $0)) }
        case .bf16: load(UInt16.self) { Float(bitPattern: UInt32($0) << 16) }
        case .i64: load(Int64.self) { Float($0) }
        case .i32: load(Int32.self) { Float($0) }
        case .u8, .bool: load(UInt8.self) { Float($0) }
        }
    }
}
