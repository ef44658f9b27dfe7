import Files
import Tensors

/// Reads a pickle without executing anything: it knows what the few calls return that `torch.save` uses for tensors and
/// dictionaries of them. Every other object is kept as its name alone (`PickleValue.unknown`): it does not matter
/// unless a weight depends on it.
///
/// Instructions: Python's `pickletools`, protocols 0 to 5 without its registry of extensions.
struct PickleReader {
    let file: String
    var reader: ByteReader
    var stack: [PickleValue] = []
    private var marks: [Int] = []
    private var memo: [Int: PickleValue] = [:]
    var tuples: [[PickleValue]] = []
    var lists: [[PickleValue]] = []
    var dictionaries: [[(key: PickleValue, value: PickleValue)]] = []
    var tensors: [PickleTensor] = []
    /// By key.
    var storageKinds: [String: StorageKind] = [:]
    /// Every name the pickle mentions that is not known here, such as `posix.system`. Nothing of it was executed.
    var unknownNames: Set<String> = []

    /// Each byte may make a value of some 50 bytes; a model's pickle is under 1 MB.
    private static let sizeLimit = 32 << 20

    init(_ bytes: UnsafeRawBufferPointer, file: String) throws {
        guard bytes.count <= Self.sizeLimit else {
            throw FileFailure.malformed(file: file, reason: "its pickle has \(bytes.count) bytes")
        }
        self.file = file
        reader = try ByteReader(bytes)
    }

    /// A pickle with something after it.
    init(upTo bytes: UnsafeRawBufferPointer, file: String) throws {
        try self.init(UnsafeRawBufferPointer(rebasing: bytes.prefix(Self.sizeLimit)), file: file)
    }

    /// Bytes read so far.
    var consumed: Int { reader.position }

    /// Runs all instructions and returns what they leave.
    mutating func value() throws -> PickleValue {
        do {
            while true {
                let code = try reader.number(UInt8.self)
                if code == UInt8(ascii: ".") { return try pop() }
                try step(code)
            }
        } catch is ByteReader.End {
            throw malformed("its pickle ends early")
        }
    }

    func malformed(_ reason: String) -> FileFailure { .malformed(file: file, reason: reason) }

    mutating func pop() throws -> PickleValue {
        guard stack.count > (marks.last ?? 0), let value = stack.popLast() else {
            throw malformed("its pickle takes a value that is not there")
        }
        return value
    }

    mutating func popToMark() throws -> [PickleValue] {
        guard let mark = marks.popLast() else { throw malformed("its pickle has no mark to return to") }
        let values = Array(stack[mark...])
        stack.removeSubrange(mark...)
        return values
    }

    private mutating func step(_ code: UInt8) throws {
        switch Unicode.Scalar(code) {
        case "\u{80}": try reader.skip(1)
        case "\u{95}": try reader.skip(8)
        case "(": marks.append(stack.count)
        case "0": _ = try pop()
        case "1": _ = try popToMark()
        case "2":
            let value = try pop()
            stack += [value, value]
        case "q": try remember(at: try reader.int(UInt8.self))
        case "r": try remember(at: try reader.int(UInt32.self))
        case "\u{94}": try remember(at: memo.count)
        case "p": try remember(at: try decimal())
        case "h": try recall(try reader.int(UInt8.self))
        case "j": try recall(try reader.int(UInt32.self))
        case "g": try recall(try decimal())
        default: if try !stepOnLiterals(code) { try stepOnContainers(code) }
        }
    }

    private mutating func stepOnContainers(_ code: UInt8) throws {
        switch Unicode.Scalar(code) {
        case ")": push(tuple: [])
        case "\u{85}": push(tuple: [try pop()])
        case "\u{86}": push(tuple: Array([try pop(), try pop()].reversed()))
        case "\u{87}": push(tuple: Array([try pop(), try pop(), try pop()].reversed()))
        case "t": push(tuple: try popToMark())
        case "]": push(list: [])
        case "l": push(list: try popToMark())
        case "a": try append([try pop()])
        case "e": try append(try popToMark())
        case "}": pushDictionary()
        case "d":
            let items = try popToMark()
            pushDictionary()
            try setItems(items)
        case "s": try setItems(Array([try pop(), try pop()].reversed()))
        case "u": try setItems(try popToMark())
        case "\u{8F}": stack.append(.unknown("set"))
        case "\u{90}":
            _ = try popToMark()
            guard case .unknown? = stack.last else { throw malformed("its pickle adds to what is not a set") }
        case "\u{91}":
            _ = try popToMark()
            stack.append(.unknown("frozenset"))
        case "b": _ = try pop()  // attributes of a dictionary, a parameter or an unknown object: no weight needs them
        default: try stepOnCalls(code)
        }
    }

    mutating func push(tuple: [PickleValue]) {
        tuples.append(tuple)
        stack.append(.tuple(tuples.count - 1))
    }

    private mutating func push(list: [PickleValue]) {
        lists.append(list)
        stack.append(.list(lists.count - 1))
    }

    mutating func pushDictionary() {
        dictionaries.append([])
        stack.append(.dictionary(dictionaries.count - 1))
    }

    private mutating func remember(at index: Int) throws {
        let value = try pop()
        stack.append(value)
        memo[index] = value
    }

    private mutating func recall(_ index: Int) throws {
        guard let value = memo[index] else { throw malformed("its pickle recalls what it never stored") }
        stack.append(value)
    }

    private mutating func append(_ values: [PickleValue]) throws {
        switch stack.last {
        case .list(let index): lists[index] += values
        case .unknown: break
        default: throw malformed("its pickle appends to what is not a list")
        }
    }

    private mutating func setItems(_ values: [PickleValue]) throws {
        guard values.count.isMultiple(of: 2) else { throw malformed("its pickle sets a key without a value") }
        switch stack.last {
        case .dictionary(let index):
            for i in stride(from: 0, to: values.count, by: 2) { dictionaries[index].append((values[i], values[i + 1])) }
        case .unknown: break
        default: throw malformed("its pickle sets items of what is not a dictionary")
        }
    }
}
