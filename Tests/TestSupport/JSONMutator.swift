import Files

extension Mutator {
    /// Changes one to three values, names or elements of a JSON text, or of the header of a safetensors file, and leaves
    /// it well-formed, so that the damage reaches what is behind the parser. Nil if `input` is neither.
    mutating func restructure(_ input: [UInt8], words: [[UInt8]]) -> [UInt8]? {
        let header = Self.header(input)
        let text = header.map { input[$0] } ?? input[...]
        guard text.first == UInt8(ascii: "{"), var json = text.withUnsafeBytes({ try? JSON.parse($0) }) else { return nil }
        for _ in 0...below(3) { json = change(json, words) }
        let changed = Array(json.serialized().utf8)
        guard let header else { return changed }
        let length = (0..<8).map { UInt8(truncatingIfNeeded: changed.count >> (8 * $0)) }
        return length + changed + input[header.upperBound...]
    }

    /// Where the header of a safetensors file is.
    private static func header(_ input: [UInt8]) -> Range<Int>? {
        guard input.count > 8, input[8] == UInt8(ascii: "{") else { return nil }
        let length = input[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return length <= UInt64(input.count - 8) ? 8..<8 + Int(length) : nil
    }

    private mutating func change(_ json: JSON, _ words: [[UInt8]]) -> JSON {
        switch json {
        case .object(let members) where members.count > 0 && below(8) > 0: .object(change(members, words))
        case .array(let elements) where !elements.isEmpty && below(8) > 0: .array(change(elements, words))
        default: hostile(json, words)
        }
    }

    private mutating func change(_ members: JSONObject, _ words: [[UInt8]]) -> JSONObject {
        var members = members
        let key = members.keys[below(members.count)]
        let other = members.keys[below(members.count)]
        guard let value = members[key] else { return members }
        switch below(10) {
        case 0: members[key] = nil
        case 1: members[other] = value
        case 2: members[word(words)] = value
        case 3: (members[key], members[key + "x"]) = (nil, value)
        default: members[key] = change(value, words)
        }
        return members
    }

    private mutating func change(_ elements: [JSON], _ words: [[UInt8]]) -> [JSON] {
        var elements = elements
        let index = below(elements.count)
        switch below(8) {
        case 0: elements.remove(at: index)
        case 1: elements.insert(elements[index], at: below(elements.count + 1))
        case 2: elements.swapAt(index, below(elements.count))
        default: elements[index] = change(elements[index], words)
        }
        return elements
    }

    /// Numbers at boundaries, other types, and the words of the format.
    private mutating func hostile(_ json: JSON, _ words: [[UInt8]]) -> JSON {
        let near = json.int ?? 0
        let values: [JSON] = [
            .null, true, false, -1, 0, 1, .integer(near &+ 1), .integer(near &- 1), .integer(near &* 2), .integer(1 << 30),
            .integer(1 << 31), .integer(1 << 53), .integer(.max), .integer(.min), 0.5, -0.0, 1e308, 1e-308, "", [], [:],
            [json], ["a": json], .string(json.serialized()),
        ]
        guard !words.isEmpty, below(3) == 0 else { return values[below(values.count)] }
        let word = words[below(words.count)]
        return word.withUnsafeBytes { try? JSON.parse($0) } ?? .string(String(decoding: word, as: UTF8.self))
    }

    private mutating func word(_ words: [[UInt8]]) -> String {
        guard !words.isEmpty else { return "" }
        return String(decoding: words[below(words.count)], as: UTF8.self).filter { $0 != "\"" }
    }
}
