import Files
import Tensors

/// Reads a pickle without executing anything: it knows the instructions and the few calls that `torch.save` uses for
/// tensors and dictionaries of them, and refuses every other name and instruction.
///
/// Instructions: Python's `pickletools`. Protocols 2 to 4.
struct PickleReader {
    let file: String
    private var reader: ByteReader
    private var stack: [PickleValue] = []
    private var marks: [Int] = []
    private var memo: [Int: PickleValue] = [:]
    private(set) var tuples: [[PickleValue]] = []
    private(set) var lists: [[PickleValue]] = []
    private(set) var dictionaries: [[(key: PickleValue, value: PickleValue)]] = []
    private(set) var tensors: [PickleTensor] = []
    /// By key.
    private(set) var storageTypes: [String: DType] = [:]

    /// Each byte may make a value of some 50 bytes; a model's pickle is under 1 MB.
    private static let sizeLimit = 32 << 20

    init(_ bytes: UnsafeRawBufferPointer, file: String) throws {
        guard bytes.count <= Self.sizeLimit else {
            throw FileFailure.malformed(file: file, reason: "its pickle has \(bytes.count) bytes")
        }
        self.file = file
        reader = try ByteReader(bytes)
    }

    /// A pickle with something behind it.
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

    private func malformed(_ reason: String) -> FileFailure { .malformed(file: file, reason: reason) }

    private mutating func pop() throws -> PickleValue {
        guard stack.count > (marks.last ?? 0), let value = stack.popLast() else {
            throw malformed("its pickle takes a value that is not there")
        }
        return value
    }

    private mutating func popToMark() throws -> [PickleValue] {
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
        case "N": stack.append(.none)
        case "\u{88}": stack.append(.bool(true))
        case "\u{89}": stack.append(.bool(false))
        case "J": stack.append(.int(Int(try reader.number(Int32.self))))
        case "K": stack.append(.int(try reader.int(UInt8.self)))
        case "M": stack.append(.int(try reader.int(UInt16.self)))
        case "\u{8A}": try pushLong()
        case "G": try pushOpaque(8)
        case "C", "U": try pushOpaque(try reader.int(UInt8.self))
        case "B", "T": try pushOpaque(try reader.int(UInt32.self))
        case "X": try pushString(try reader.int(UInt32.self))
        case "\u{8C}": try pushString(try reader.int(UInt8.self))
        case "q": try remember(at: try reader.int(UInt8.self))
        case "r": try remember(at: try reader.int(UInt32.self))
        case "\u{94}": try remember(at: memo.count)
        case "h": try recall(try reader.int(UInt8.self))
        case "j": try recall(try reader.int(UInt32.self))
        default: try stepOnContainers(code)
        }
    }

    private mutating func stepOnContainers(_ code: UInt8) throws {
        switch Unicode.Scalar(code) {
        case ")": push(tuple: [])
        case "\u{85}": push(tuple: [try pop()])
        case "\u{86}": push(tuple: Array([try pop(), try pop()].reversed()))
        case "\u{87}": push(tuple: Array([try pop(), try pop(), try pop()].reversed()))
        case "t": push(tuple: try popToMark())
        case "]":
            lists.append([])
            stack.append(.list(lists.count - 1))
        case "a": try append([try pop()])
        case "e": try append(try popToMark())
        case "}": pushDictionary()
        case "s": try setItems(Array([try pop(), try pop()].reversed()))
        case "u": try setItems(try popToMark())
        case "c": try pushGlobal(module: try line(), name: try line())
        case "\u{93}":
            let (name, module) = (try pop().string, try pop().string)
            try pushGlobal(module: module ?? "?", name: name ?? "?")
        case "Q": try pushStorage()
        case "R", "\u{81}": try call()
        case "b": _ = try pop()  // attributes of a dictionary or parameter: nothing here needs them
        default:
            throw FileFailure.unsupported(
                file: file, found: "its pickle has the instruction 0x" + String(code, radix: 16),
                advice: "only dictionaries of tensors are read; convert the file to safetensors")
        }
    }

    private mutating func push(tuple: [PickleValue]) {
        tuples.append(tuple)
        stack.append(.tuple(tuples.count - 1))
    }

    private mutating func pushDictionary() {
        dictionaries.append([])
        stack.append(.dictionary(dictionaries.count - 1))
    }

    private mutating func pushOpaque(_ length: Int) throws {
        try reader.skip(length)
        stack.append(.opaque)
    }

    private mutating func pushString(_ length: Int) throws {
        guard let text = String(validating: try reader.take(length), as: UTF8.self) else {
            throw malformed("a string in its pickle is not UTF-8")
        }
        stack.append(.string(text))
    }

    /// A whole number of up to eight bytes, two's complement; longer ones are nothing a tensor has.
    private mutating func pushLong() throws {
        let bytes = try reader.take(try reader.int(UInt8.self))
        guard bytes.count <= 8 else {
            stack.append(.opaque)
            return
        }
        var value: UInt64 = (bytes.last ?? 0) & 0x80 != 0 ? .max : 0
        for byte in bytes.reversed() { value = value << 8 | UInt64(byte) }
        stack.append(.int(Int(Int64(bitPattern: value))))
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
        guard case .list(let index)? = stack.last else { throw malformed("its pickle appends to what is not a list") }
        lists[index] += values
    }

    private mutating func setItems(_ values: [PickleValue]) throws {
        guard case .dictionary(let index)? = stack.last, values.count.isMultiple(of: 2) else {
            throw malformed("its pickle sets items of what is not a dictionary")
        }
        for i in stride(from: 0, to: values.count, by: 2) { dictionaries[index].append((values[i], values[i + 1])) }
    }

    private mutating func line() throws -> String {
        let start = reader.position
        while try reader.number(UInt8.self) != 0x0A {}
        let bytes = reader.bytes[start..<reader.position - 1]
        guard bytes.count <= 256, let text = String(validating: bytes, as: UTF8.self) else {
            throw malformed("a name in its pickle is not text")
        }
        return text
    }

    private mutating func pushGlobal(module: String, name: String) throws {
        guard let global = PickleGlobal(module: module, name: name) else {
            throw FileFailure.unsupported(
                file: file, found: "its pickle asks for \(module).\(name), which is not a call that rebuilds tensors",
                advice: "nothing was executed; do not use this file unless you trust where it came from")
        }
        stack.append(.global(global))
    }

    /// `('storage', class, key, device, count)`; files that are not zips have a sixth member, None since PyTorch 0.4.
    private mutating func pushStorage() throws {
        guard case .tuple(let index) = try pop(), Self.isStorage(tuples[index]),
            case .global(.storage(let dtype)) = tuples[index][1], let key = tuples[index][2].string,
            let count = tuples[index][4].int, count >= 0, storageTypes.updateValue(dtype, forKey: key) ?? dtype == dtype
        else { throw malformed("its pickle refers to a storage in an unknown way") }
        stack.append(.storage(PickleStorage(key: key, dtype: dtype, count: count)))
    }

    private static func isStorage(_ members: [PickleValue]) -> Bool {
        guard members.first?.string == "storage" else { return false }
        if members.count == 6, case .none = members[5] { return true }
        return members.count == 5
    }

    private mutating func call() throws {
        guard case .tuple(let index) = try pop(), case .global(let global) = try pop() else {
            throw malformed("its pickle calls what is not a function")
        }
        let arguments = tuples[index]
        switch global {
        case .inert: stack.append(.opaque)
        case .orderedDict where arguments.isEmpty: pushDictionary()
        case .rebuildTensor where arguments.count == 4, .rebuildTensorV2 where (6...7).contains(arguments.count):
            tensors.append(try tensor(arguments))
            stack.append(.tensor(tensors.count - 1))
        case .rebuildParameter where arguments.count == 3: stack.append(arguments[0])
        default: throw malformed("its pickle calls \(global) with \(arguments.count) unexpected arguments")
        }
    }

    private func tensor(_ arguments: [PickleValue]) throws -> PickleTensor {
        guard case .storage(let storage) = arguments[0], let offset = arguments[1].int,
            case .tuple(let shapeIndex) = arguments[2], case .tuple(let stridesIndex) = arguments[3],
            let shape = Shapes.dimensions(tuples[shapeIndex].map(\.int)),
            let strides = Shapes.dimensions(tuples[stridesIndex].map(\.int)), shape.count == strides.count
        else { throw malformed("its pickle rebuilds a tensor in an unknown way") }
        return PickleTensor(storage: storage, offset: offset, shape: shape, strides: strides)
    }
}
