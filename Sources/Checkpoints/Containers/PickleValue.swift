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
    /// Something that nothing here needs: floats, bytes, the results of inert calls.
    case opaque

    var int: Int? {
        if case .int(let value) = self { value } else { nil }
    }

    var string: String? {
        if case .string(let value) = self { value } else { nil }
    }
}

/// The names that a pickle may mention. Nothing is ever called; the reader knows what these calls would return.
enum PickleGlobal: Equatable {
    case rebuildTensor
    case rebuildTensorV2
    case rebuildParameter
    case orderedDict
    case storage(DType)
    /// Traces of the training program in published checkpoints (a callback's name, a score): kept as nothing.
    case inert

    init?(module: String, name: String) {
        switch (module, name) {
        case ("torch._utils", "_rebuild_tensor"): self = .rebuildTensor
        case ("torch._utils", "_rebuild_tensor_v2"): self = .rebuildTensorV2
        case ("torch._utils", "_rebuild_parameter"): self = .rebuildParameter
        case ("collections", "OrderedDict"): self = .orderedDict
        case ("torch", _):
            guard let dtype = Self.storages[name] else { return nil }
            self = .storage(dtype)
        case ("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint"),
            ("numpy.core.multiarray", "scalar"), ("numpy", "dtype"), ("_codecs", "encode"):
            self = .inert
        default: return nil
        }
    }

    private static let storages: [String: DType] = [
        "FloatStorage": .f32, "HalfStorage": .f16, "BFloat16Storage": .bf16, "DoubleStorage": .f64,
        "LongStorage": .i64, "IntStorage": .i32, "ByteStorage": .u8, "BoolStorage": .bool,
    ]
}

/// A run of elements in the file entry called `key`.
struct PickleStorage {
    let key: String
    let dtype: DType
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
