import Tensors

/// A value of a pickle. Containers are numbers into the reader's tables rather than references: a pickle can nest a
/// million deep or contain itself, and releasing such a structure must neither recurse nor leak.
enum PickleValue {
    case none
    case bool(Bool)
    case int(Int)
    case string(String)
    case tuple(Int)
    case list(Int)
    case dictionary(Int)
    /// A function or class that is known, see `PickleGlobal`.
    case global(PickleGlobal)
    case storage(PickleStorage)
    case tensor(Int)
    /// Numbers and texts that no tensor has: floats, bytes, very long integers.
    case opaque
    /// A function or class that is not known, or whatever came of calling it, by its full name.
    case unknown(String)

    var int: Int? {
        if case .int(let value) = self { value } else { nil }
    }

    var string: String? {
        if case .string(let value) = self { value } else { nil }
    }

    var unknownName: String? {
        if case .unknown(let name) = self { name } else { nil }
    }
}

/// The names of which the reader knows what a call returns. Nothing is ever called.
enum PickleGlobal: Equatable {
    /// `torch._utils._rebuild_tensor`, `_v2` and `_v3`.
    case rebuildTensor
    case rebuildParameter
    /// `_rebuild_from_type_v2(function, class, arguments, state)`: what the function returns, with attributes.
    case rebuildFromType
    /// Every kind of dictionary: ordered, with a default, a counter.
    case dictionary
    case size
    case storage(StorageKind)
    /// `torch.float16`, which names a storage's elements where the storage itself does not.
    case dtype(StorageKind)

    init?(module: String, name: String) {
        switch (module, name) {
        case ("torch._utils", "_rebuild_tensor"), ("torch._utils", "_rebuild_tensor_v2"),
            ("torch._utils", "_rebuild_tensor_v3"):
            self = .rebuildTensor
        case ("torch._utils", "_rebuild_parameter"), ("torch._utils", "_rebuild_parameter_with_state"):
            self = .rebuildParameter
        case ("torch._tensor", "_rebuild_from_type_v2"): self = .rebuildFromType
        case ("collections", "OrderedDict"), ("collections", "defaultdict"), ("collections", "Counter"),
            ("builtins", "dict"), ("__builtin__", "dict"):
            self = .dictionary
        case ("torch", "Size"): self = .size
        case ("torch.storage", "UntypedStorage"), ("torch", "UntypedStorage"): self = .storage(.untyped)
        case ("torch", _):
            if let kind = StorageKind(storage: name) {
                self = .storage(kind)
            } else if let kind = StorageKind(dtype: name) {
                self = .dtype(kind)
            } else {
                return nil
            }
        default: return nil
        }
    }

    /// Whether its first argument is what the result's numbers come from.
    var isRebuilding: Bool {
        switch self {
        case .rebuildTensor, .rebuildParameter: true
        default: false
        }
    }
}

/// What the elements of a storage are.
struct StorageKind: Equatable {
    /// As PyTorch calls it, for messages.
    let name: String
    /// nil for elements that are not read here, such as complex ones.
    let dtype: DType?
    /// Bytes of an element.
    let width: Int

    /// Bytes whose meaning only the tensor tells.
    static let untyped = StorageKind(name: "UntypedStorage", dtype: nil, width: 1)

    init(name: String, dtype: DType?, width: Int) {
        self.name = name
        self.dtype = dtype
        self.width = width
    }

    init?(storage name: String) {
        if let dtype = Self.storages[name] {
            self.init(name: name, dtype: dtype, width: dtype.byteWidth)
        } else if let width = Self.unreadStorages[name] {
            self.init(name: name, dtype: nil, width: width)
        } else {
            return nil
        }
    }

    init?(dtype name: String) {
        guard let dtype = Self.dtypes[name] else { return nil }
        self.init(name: name, dtype: dtype, width: dtype.byteWidth)
    }

    private static let storages: [String: DType] = [
        "FloatStorage": .f32, "HalfStorage": .f16, "BFloat16Storage": .bf16, "DoubleStorage": .f64,
        "LongStorage": .i64, "IntStorage": .i32, "ShortStorage": .i16, "CharStorage": .i8, "ByteStorage": .u8,
        "BoolStorage": .bool,
    ]

    private static let unreadStorages = [
        "ComplexFloatStorage": 8, "ComplexDoubleStorage": 16, "QUInt8Storage": 1, "QInt8Storage": 1,
        "QInt32Storage": 4, "QUInt4x2Storage": 1, "QUInt2x4Storage": 1,
    ]

    private static let dtypes: [String: DType] = [
        "float64": .f64, "float32": .f32, "float16": .f16, "bfloat16": .bf16, "float8_e4m3fn": .f8e4m3,
        "float8_e5m2": .f8e5m2, "int64": .i64, "int32": .i32, "int16": .i16, "int8": .i8, "uint8": .u8, "bool": .bool,
        "uint16": .u16, "uint32": .u32, "uint64": .u64,
    ]
}

/// A run of elements in the file entry called `key`.
struct PickleStorage {
    let key: String
    let kind: StorageKind
    let count: Int
}

/// A view of a storage.
struct PickleTensor {
    let storage: PickleStorage
    /// First element.
    let offset: Int
    let shape: [Int]
    /// Elements from one index to the next, per dimension.
    let strides: [Int]
}
