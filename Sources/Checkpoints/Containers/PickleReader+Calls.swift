import Tensors

/// Names, references to storages, and calls. Nothing is called: what is known is what the call would return.
extension PickleReader {
    mutating func stepOnCalls(_ code: UInt8) throws {
        switch Unicode.Scalar(code) {
        case "c": pushGlobal(module: try line(), name: try line())
        case "\u{93}":
            let (name, module) = (try pop().string, try pop().string)
            pushGlobal(module: module ?? "?", name: name ?? "?")
        case "Q": try pushStorage()
        case "R", "\u{81}": try callWithTuple()
        case "\u{92}":
            _ = try pop()  // named arguments, which none of the known calls has
            try callWithTuple()
        case "i":
            pushGlobal(module: try line(), name: try line())
            guard let callee = stack.popLast() else { return }
            stack.append(try result(of: callee, try popToMark()))
        case "o":
            var arguments = try popToMark()
            guard !arguments.isEmpty else { throw malformed("its pickle calls nothing") }
            stack.append(try result(of: arguments.removeFirst(), arguments))
        default: throw malformed("its pickle has the unknown instruction 0x" + String(code, radix: 16))
        }
    }

    private mutating func pushGlobal(module: String, name: String) {
        if let known = PickleGlobal(module: module, name: name) {
            stack.append(.global(known))
            return
        }
        unknownNames.insert("\(module).\(name)")
        stack.append(.unknown("\(module).\(name)"))
    }

    /// `('storage', class, key, device, count)`; files that are not zips have a sixth member, None since PyTorch 0.4.
    private mutating func pushStorage() throws {
        guard case .tuple(let index) = try pop(), Self.isStorage(tuples[index]),
            let kind = Self.storageKind(tuples[index][1]), let key = tuples[index][2].string,
            let count = tuples[index][4].int, count >= 0, storageKinds.updateValue(kind, forKey: key) ?? kind == kind
        else { throw malformed("its pickle refers to a storage in an unknown way") }
        stack.append(.storage(PickleStorage(key: key, kind: kind, count: count)))
    }

    private static func isStorage(_ members: [PickleValue]) -> Bool {
        guard members.first?.string == "storage" else { return false }
        if members.count == 6, case .none = members[5] { return true }
        return members.count == 5
    }

    private static func storageKind(_ value: PickleValue) -> StorageKind? {
        switch value {
        case .global(.storage(let kind)): kind
        case .unknown(let name): StorageKind(name: name, dtype: nil, width: 0)
        default: nil
        }
    }

    private mutating func callWithTuple() throws {
        guard case .tuple(let index) = try pop() else { throw malformed("its pickle calls with what is not a tuple") }
        let callee = try pop()
        stack.append(try result(of: callee, tuples[index]))
    }

    private mutating func result(of callee: PickleValue, _ arguments: [PickleValue]) throws -> PickleValue {
        switch callee {
        case .unknown(let name): return .unknown(name)
        case .global(let global): return try result(of: global, arguments)
        default: throw malformed("its pickle calls what is not a function")
        }
    }

    private mutating func result(of global: PickleGlobal, _ arguments: [PickleValue]) throws -> PickleValue {
        if let name = arguments.prefix(1).compactMap(\.unknownName).first, global.isRebuilding { return .unknown(name) }
        switch global {
        case .dictionary:
            if case .dictionary(let index)? = arguments.first { return .dictionary(index) }
            pushDictionary()
            return try pop()
        case .size where arguments.count == 1: return arguments[0]
        case .rebuildTensor where (4...8).contains(arguments.count):
            tensors.append(try tensor(arguments))
            return .tensor(tensors.count - 1)
        case .rebuildParameter where (3...4).contains(arguments.count): return arguments[0]
        case .rebuildFromType where arguments.count == 4:
            guard case .tuple(let index) = arguments[2], case .global(let inner) = arguments[0],
                inner != .rebuildFromType
            else { return .unknown(arguments[0].unknownName ?? "torch._tensor._rebuild_from_type_v2") }
            return try result(of: inner, tuples[index])
        default: throw malformed("its pickle calls \(global) with \(arguments.count) unexpected arguments")
        }
    }

    /// `(storage, offset, shape, strides, …)`; storages without a type are followed by the dtype as seventh argument.
    private func tensor(_ arguments: [PickleValue]) throws -> PickleTensor {
        guard case .storage(var storage) = arguments[0], let offset = arguments[1].int,
            case .tuple(let shapeIndex) = arguments[2], case .tuple(let stridesIndex) = arguments[3],
            let shape = Shapes.dimensions(tuples[shapeIndex].map(\.int)),
            let strides = Shapes.dimensions(tuples[stridesIndex].map(\.int)), shape.count == strides.count
        else { throw malformed("its pickle rebuilds a tensor in an unknown way") }
        // What follows may say that the numbers are those of another tensor, conjugated or negated.
        let isPlain = arguments.dropFirst(6).allSatisfy {
            if case .dictionary(let index) = $0 { dictionaries[index].isEmpty } else { true }
        }
        guard isPlain else { throw malformed("its pickle holds a tensor that is a view with changed signs") }
        if storage.kind == .untyped {
            let dtype = arguments.count > 6 ? arguments[6] : .none
            if case .global(.dtype(let kind)) = dtype {
                storage = PickleStorage(key: storage.key, kind: kind, count: storage.count / max(1, kind.width))
            } else {
                let kind = StorageKind(name: dtype.unknownName ?? storage.kind.name, dtype: nil, width: 0)
                storage = PickleStorage(key: storage.key, kind: kind, count: storage.count)
            }
        }
        return PickleTensor(storage: storage, offset: offset, shape: shape, strides: strides)
    }
}
