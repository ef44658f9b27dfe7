import Files
import Tensors

/// The tensors of one weights file of any kind that is read here, told apart by its first bytes, not by its name:
/// safetensors, what `torch.save` writes, GGUF, or the index of a sharded set.
public struct WeightFile: Sendable {
    public enum Container: String, Sendable {
        case safetensors
        case shardedSafetensors = "sharded safetensors"
        case torch = "PyTorch zip"
        case legacyTorch = "PyTorch pickle"
        case gguf = "GGUF"
    }

    public let path: String
    public let container: Container
    public let weights: [Weight]
    /// Safetensors' `__metadata__`, the text entries of GGUF, the texts beside a pickle's tensors.
    public let metadata: [String: String]
    /// Names of Python's that a pickle mentions and that are not known here, sorted. Nothing of them was executed, and no
    /// sound weight depends on them.
    public private(set) var unknownNames: [String] = []

    /// - Throws: `FileFailure` if the file is absent, damaged, or of a refused kind.
    public init(path: String) throws {
        guard path.hasSuffix(".index.json") else {
            try self.init(MappedFile(path: path))
            return
        }
        try self.init(
            path: path, container: .shardedSafetensors, weights: ShardIndex.weights(path: path), metadata: [:])
    }

    public init(_ file: MappedFile) throws {
        try ForeignFile.refuse(file.bytes, file: file.path)
        if Self.isTorch(file) {
            let container = withExtendedLifetime(file) { LegacyTorch.isOne(file.bytes) } ? Container.legacyTorch : .torch
            let contents = try TorchFile(file)
            self.init(path: file.path, container: container, weights: contents.weights, metadata: contents.texts)
            unknownNames = contents.unknownNames
        } else if withExtendedLifetime(file, { GGUFFile.isOne(file.bytes) }) {
            let contents = try GGUFFile(file)
            self.init(path: file.path, container: .gguf, weights: contents.weights, metadata: contents.metadata)
        } else {
            let file = try SafetensorsFile(file)
            self.init(path: file.path, container: .safetensors, weights: file.weights, metadata: file.metadata)
        }
    }

    private init(path: String, container: Container, weights: [Weight], metadata: [String: String]) {
        self.path = path
        self.container = container
        self.weights = weights
        self.metadata = metadata
    }

    /// A safetensors file has its header's length in the first eight bytes and '{' in the ninth; a zip starts with
    /// "PK", a bare pickle with 0x80.
    private static func isTorch(_ file: MappedFile) -> Bool {
        withExtendedLifetime(file) {
            let start = file.bytes.prefix(9)
            if start.count == 9, start[8] == UInt8(ascii: "{") { return false }
            return start.starts(with: [UInt8(ascii: "P"), UInt8(ascii: "K")]) || start.first == 0x80
        }
    }
}
