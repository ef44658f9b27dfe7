import Files
import Tensors

/// A file written by `torch.save`: a pickle and the raw storages that it refers to, in a zip or, before PyTorch 1.6,
/// one after the other.
final class TorchFile: Sendable {
    let path: String
    /// The tensors of the dictionary, or of its member `state_dict`, in the file's order. What is made by a call that
    /// is not known, or of elements that are not read, has a defect.
    let weights: [Weight]
    /// Texts of the dictionary, by their keys.
    let texts: [String: String]
    /// Names that the pickle mentions and that are not known, sorted. Nothing of them was executed.
    let unknownNames: [String]

    init(_ file: MappedFile) throws {
        let path = file.path
        defer { withExtendedLifetime(file) {} }
        let contents = LegacyTorch.isOne(file.bytes)
            ? try LegacyTorch.contents(file.bytes, file: path) : try Self.contents(ofZip: file.bytes, file: path)
        var views = TensorViews(file: file, storages: contents.storages)
        weights = try Self.stateDictionary(contents.top, contents.reader).compactMap { name, value in
            switch value {
            case .tensor(let index): try views.weight(name, contents.reader.tensors[index])
            case .unknown(let maker):
                Weight(name: name, shape: [], defect: "is made by \(maker), which is not executed", owner: file)
            default: nil
            }
        }
        texts = Self.texts(contents.top, contents.reader)
        unknownNames = contents.reader.unknownNames.sorted()
        self.path = path
    }

    private static func texts(_ top: PickleValue, _ reader: PickleReader) -> [String: String] {
        guard case .dictionary(let index) = top else { return [:] }
        let pairs = reader.dictionaries[index].compactMap { key, value in
            key.string.flatMap { key in value.string.map { (key, $0) } }
        }
        return Dictionary(pairs, uniquingKeysWith: { _, last in last })
    }

    /// What a pickle leaves, with the bytes of its storages by their keys.
    struct Contents {
        let top: PickleValue
        let reader: PickleReader
        let storages: [String: UnsafeRawBufferPointer]
    }

    private static func contents(ofZip bytes: UnsafeRawBufferPointer, file: String) throws -> Contents {
        guard bytes.starts(with: [0x50, 0x4B, 3, 4]) else {
            throw FileFailure.malformed(file: file, reason: "neither a zip nor a pickle as torch.save writes")
        }
        let archive = try ZipArchive(bytes, file: file)
        guard let pickleName = archive.entries.keys.filter({ $0.hasSuffix("/data.pkl") }).min() else {
            throw FileFailure.malformed(file: file, reason: "a zip file without the data.pkl of torch.save")
        }
        let folder = String(pickleName.dropLast("data.pkl".count))
        if let order = archive.entries[folder + "byteorder"], !order.elementsEqual("little".utf8) {
            throw FileFailure.unsupported(
                file: file, found: "its numbers are not little-endian", advice: "save it on an x86 or ARM machine")
        }
        var reader = try PickleReader(archive.entries[pickleName] ?? .init(start: nil, count: 0), file: file)
        let top = try reader.value()
        let data = folder + "data/"
        let storages = archive.entries.filter { $0.key.hasPrefix(data) }
            .map { (String($0.key.dropFirst(data.count)), $0.value) }
        return Contents(
            top: top, reader: reader, storages: Dictionary(storages, uniquingKeysWith: { first, _ in first }))
    }

    /// What programs put the tensors into: `state_dict`, or the one member that holds tensors where the top holds none
    /// (`model`, `params_ema`). A textual inversion's is told by its own name.
    private static func inner(
        _ members: [(key: PickleValue, value: PickleValue)], _ reader: PickleReader
    ) throws(FileFailure) -> PickleValue? {
        func hasTensors(_ value: PickleValue) -> Bool {
            guard case .dictionary(let index) = value else { return false }
            return reader.dictionaries[index].contains { if case .tensor = $0.value { true } else { false } }
        }
        if let named = members.last(where: { $0.key.string == "state_dict" }) { return named.value }
        if members.contains(where: { if case .tensor = $0.value { true } else { false } }) { return nil }
        let candidates = members.filter { hasTensors($0.value) }
        guard let first = candidates.first, !candidates.contains(where: { $0.key.string == "string_to_param" }) else {
            return nil
        }
        guard candidates.count == 1 else {
            let names = candidates.compactMap { $0.key.string }.sorted().joined(separator: ", ")
            throw .unsupported(
                file: reader.file, found: "its tensors lie in several members (\(names))",
                advice: "save the one that is wanted alone")
        }
        return first.value
    }

    private static func stateDictionary(
        _ top: PickleValue, _ reader: PickleReader
    ) throws -> [(name: String, value: PickleValue)] {
        var top = top
        if case .dictionary(let index) = top { top = try inner(reader.dictionaries[index], reader) ?? top }
        if let maker = top.unknownName {
            throw FileFailure.unsupported(
                file: reader.file, found: "its pickle holds an object made by \(maker) instead of a dictionary of tensors",
                advice: "nothing was executed; load it where it was made and save its state_dict()")
        }
        guard case .dictionary(let index) = top else {
            throw FileFailure.malformed(file: reader.file, reason: "its pickle is not a dictionary of tensors")
        }
        func named(_ dictionary: Int, prefix: String) -> [(name: String, value: PickleValue)] {
            reader.dictionaries[dictionary].compactMap { key, value in key.string.map { (prefix + $0, value) } }
        }
        // Textual inversions keep their one tensor in a dictionary of its own.
        let member = reader.dictionaries[index].first { $0.key.string == "string_to_param" }
        guard case .dictionary(let inner)? = member?.value else { return named(index, prefix: "") }
        return named(index, prefix: "") + named(inner, prefix: "string_to_param.")
    }
}

/// Turns the pickle's tensors into weights: views of the file where the elements lie in order, copies otherwise.
private struct TensorViews {
    let file: MappedFile
    let storages: [String: UnsafeRawBufferPointer]
    /// Bytes copied so far. Many views of one storage could ask for far more memory than the file has bytes.
    private var copied = 0

    init(file: MappedFile, storages: [String: UnsafeRawBufferPointer]) {
        self.file = file
        self.storages = storages
    }

    mutating func weight(_ name: String, _ tensor: PickleTensor) throws -> Weight {
        func bad(_ reason: String) -> FileFailure {
            .malformed(file: file.path, reason: "tensor \(name): \(reason)")
        }
        let storage = tensor.storage
        guard let dtype = storage.kind.dtype else {
            let reason = "is of kind \(storage.kind.name), which is not read"
            return Weight(name: name, shape: tensor.shape, defect: reason, owner: file, limit: 8 * file.bytes.count)
        }
        let width = dtype.byteWidth
        guard let bytes = storages[storage.key] else {
            throw bad("its storage \(storage.key) is not in the file")
        }
        guard let count = Shapes.count(tensor.shape), storage.count <= bytes.count / width,
            let last = Self.lastElement(tensor), tensor.offset >= 0, count == 0 || last < storage.count
        else { throw bad("shape \(tensor.shape) exceeds its storage of \(bytes.count) bytes") }
        let isEmpty = count == 0
        if isEmpty || Self.isContiguous(tensor) {
            let start = isEmpty ? 0 : tensor.offset * width
            let part = UnsafeRawBufferPointer(rebasing: bytes[start..<start + count * width])
            return Weight(name: name, shape: tensor.shape, dtype: dtype, bytes: part, owner: file)
        }
        guard count <= storage.count, copied <= file.bytes.count else { throw bad("its elements overlap") }
        copied += count * width
        return Self.gathered(name, tensor, dtype, count: count, from: bytes)
    }

    /// Index of the last element in the storage, or nil if it overflows; meaningless for an empty tensor.
    private static func lastElement(_ tensor: PickleTensor) -> Int? {
        var last = tensor.offset
        for (size, stride) in zip(tensor.shape, tensor.strides) where size > 1 {
            let (span, overflow) = (size - 1).multipliedReportingOverflow(by: stride)
            let (sum, overflow2) = last.addingReportingOverflow(span)
            if overflow || overflow2 { return nil }
            last = sum
        }
        return last
    }

    private static func isContiguous(_ tensor: PickleTensor) -> Bool {
        var expected = 1
        for (size, stride) in zip(tensor.shape, tensor.strides).reversed() where size != 1 {
            if stride != expected { return false }
            expected *= size
        }
        return true
    }

    /// A row-major copy.
    private static func gathered(
        _ name: String, _ tensor: PickleTensor, _ dtype: DType, count: Int, from bytes: UnsafeRawBufferPointer
    ) -> Weight {
        let width = dtype.byteWidth
        let copy = OwnedBytes(count: count * width)
        var index = [Int](repeating: 0, count: tensor.shape.count)
        var source = tensor.offset
        for element in 0..<count {
            copy.buffer.baseAddress?.advanced(by: element * width).copyMemory(
                from: UnsafeRawPointer(bytes.baseAddress!) + source * width, byteCount: width)
            for dimension in tensor.shape.indices.reversed() {
                index[dimension] += 1
                source += tensor.strides[dimension]
                if index[dimension] < tensor.shape[dimension] { break }
                source -= tensor.strides[dimension] * index[dimension]
                index[dimension] = 0
            }
        }
        return Weight(
            name: name, shape: tensor.shape, dtype: dtype, bytes: UnsafeRawBufferPointer(copy.buffer),
            owner: copy)
    }
}

/// Bytes on the heap that live as long as whoever refers to them.
final class OwnedBytes: @unchecked Sendable {
    let buffer: UnsafeMutableRawBufferPointer

    init(count: Int) {
        buffer = .allocate(byteCount: count, alignment: 16)
    }

    deinit {
        buffer.deallocate()
    }
}
