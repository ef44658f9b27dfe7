/// How a number is stored in a weights file.
public enum DType: String, Sendable, CaseIterable {
    case f64 = "F64"
    case f32 = "F32"
    case f16 = "F16"
    case bf16 = "BF16"
    /// Eight bits: sign, 4 of exponent (bias 7), 3 of mantissa; no infinities.
    case f8e4m3 = "F8_E4M3"
    /// Eight bits: sign, 5 of exponent (bias 15), 2 of mantissa: the upper half of half precision.
    case f8e5m2 = "F8_E5M2"
    case i64 = "I64"
    case i32 = "I32"
    case i16 = "I16"
    case i8 = "I8"
    case u64 = "U64"
    case u32 = "U32"
    case u16 = "U16"
    case u8 = "U8"
    case bool = "BOOL"
    /// GGML's blocks of 32 numbers with one scale, see `QuantizedBlock`.
    case q8_0 = "Q8_0"
    case q4_0 = "Q4_0"
    case q4_1 = "Q4_1"
    case q5_0 = "Q5_0"
    case q5_1 = "Q5_1"
    /// A kind that is not read; such a weight has no bytes and says why (`Weight.defect`).
    case unreadable

    /// Bytes of an element, or of a block of elements (`blockLength`).
    public var byteWidth: Int {
        switch self {
        case .f64, .i64, .u64: 8
        case .f32, .i32, .u32: 4
        case .f16, .bf16, .i16, .u16: 2
        case .f8e4m3, .f8e5m2, .i8, .u8, .bool: 1
        case .q8_0: 34
        case .q4_0: 18
        case .q4_1: 20
        case .q5_0: 22
        case .q5_1: 24
        case .unreadable: 0
        }
    }

    /// Elements that are stored together; 1 but for quantized kinds.
    public var blockLength: Int {
        switch self {
        case .q8_0, .q4_0, .q4_1, .q5_0, .q5_1: 32
        default: 1
        }
    }

    /// Bytes of `count` elements, whole blocks.
    public func byteCount(_ count: Int) -> Int { count / blockLength * byteWidth }

    /// The kinds that safetensors files and `torch.save` hold.
    public static var inSafetensors: [DType] { allCases.filter { $0.blockLength == 1 && $0 != .unreadable } }
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
    /// Why its numbers cannot be read, as "is …"; nil for a sound weight.
    public let defect: String?

    /// - Precondition: `bytes` has as many bytes as `shape` needs.
    public init(name: String, shape: [Int], dtype: DType, bytes: UnsafeRawBufferPointer, owner: AnyObject) {
        precondition(bytes.count == dtype.byteCount(shape.reduce(1, *)), "weight \(name): \(bytes.count) bytes")
        self.name = name
        self.shape = shape
        self.dtype = dtype
        self.bytes = bytes
        self.owner = owner
        defect = nil
    }

    /// A weight of which only the name and perhaps the shape are known. Its elements read as NaN.
    ///
    /// - Parameter shape: empty counts as not known, and so does one of more elements than `limit`.
    public init(name: String, shape: [Int], defect: String, owner: AnyObject, limit: Int = .max) {
        self.name = name
        let count = shape.reduce(1) { count, size in
            let (product, overflow) = count.multipliedReportingOverflow(by: size)
            return overflow ? .max : product
        }
        self.shape = count <= limit ? shape : []
        dtype = .unreadable
        bytes = UnsafeRawBufferPointer(start: nil, count: 0)
        self.owner = owner
        self.defect = defect
    }

    /// The same bytes under another name and, with as many elements, another shape.
    public func renamed(_ name: String, shape: [Int]? = nil) -> Weight {
        if let defect { return Weight(name: name, shape: shape ?? self.shape, defect: defect, owner: owner) }
        return Weight(name: name, shape: shape ?? self.shape, dtype: dtype, bytes: bytes, owner: owner)
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

    /// How many elements it has: the product of `shape`.
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
        case .f32:
            if let start = bytes.baseAddress {
                UnsafeMutableRawPointer(target).copyMemory(from: start, byteCount: bytes.count)
            }
        case .f64: load(Double.self) { Float($0) }
        case .f16: load(UInt16.self) { Float(Float16(bitPattern: $0)) }
        case .bf16: load(UInt16.self) { Float(bitPattern: UInt32($0) << 16) }
        case .f8e4m3: load(UInt8.self, Float8.e4m3)
        case .f8e5m2: load(UInt8.self) { Float(Float16(bitPattern: UInt16($0) << 8)) }
        case .i64: load(Int64.self) { Float($0) }
        case .i32: load(Int32.self) { Float($0) }
        case .i16: load(Int16.self) { Float($0) }
        case .i8: load(Int8.self) { Float($0) }
        case .u64: load(UInt64.self) { Float($0) }
        case .u32: load(UInt32.self) { Float($0) }
        case .u16: load(UInt16.self) { Float($0) }
        case .u8, .bool: load(UInt8.self) { Float($0) }
        case .q8_0, .q4_0, .q4_1, .q5_0, .q5_1: QuantizedBlock.decode(bytes, dtype, into: target)
        case .unreadable: target.update(repeating: .nan, count: count)
        }
    }
}
