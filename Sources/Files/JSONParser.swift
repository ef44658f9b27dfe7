
/// Why text is not the JSON that is accepted here, and where.
public struct JSONFailure: Failure, Equatable {
    /// Byte position from the start of the text.
    public let offset: Int
    /// What is wrong there.
    public let reason: String

    /// `.badData`.
    public var kind: FailureKind { .badData }
    public var description: String { "JSON, byte \(offset): \(reason)" }
}

extension JSON {
    /// Bounds on what a text may make the parser hold.
    public struct Limits: Sendable {
        /// The longest text that is parsed, in bytes.
        public var bytes = 100_000_000
        /// How deep arrays and objects may lie in each other.
        public var depth = 64
        /// Values of any kind: each takes about 40 bytes, whatever its text's length.
        public var values = 4_000_000
        /// Also reads `-Infinity`, which Python writes into the configurations of some schedulers.
        public var negativeInfinity = false

        /// 100 MB, 64 deep.
        public init() {}
    }

    /// Reads one JSON text (RFC 8259): valid UTF-8, no duplicate names, no NaN, only white space after the value.
    public static func parse(_ bytes: UnsafeRawBufferPointer, limits: Limits = Limits()) throws(JSONFailure) -> JSON {
        guard bytes.count <= limits.bytes else {
            throw JSONFailure(offset: limits.bytes, reason: "longer than \(limits.bytes) bytes")
        }
        var parser = JSONParser(bytes: bytes, limits: limits)
        return try parser.document()
    }

    /// The value of a text in UTF-8.
    ///
    /// - Throws: `JSONFailure` if it is not JSON (RFC 8259) within the limits.
    public static func parse(_ bytes: [UInt8], limits: Limits = Limits()) throws(JSONFailure) -> JSON {
        try bytes.withUnsafeBufferPointer { (buffer) throws(JSONFailure) in
            try parse(UnsafeRawBufferPointer(buffer), limits: limits)
        }
    }

    /// The value of a text.
    ///
    /// - Throws: as `parse(_:limits:)` of bytes.
    public static func parse(_ text: String, limits: Limits = Limits()) throws(JSONFailure) -> JSON {
        try parse(Array(text.utf8), limits: limits)
    }
}

/// Recursive descent over bytes; `limits.depth` bounds the recursion.
private struct JSONParser {
    let bytes: UnsafeRawBufferPointer
    let limits: JSON.Limits
    var position = 0
    var valuesLeft: Int

    init(bytes: UnsafeRawBufferPointer, limits: JSON.Limits) {
        self.bytes = bytes
        self.limits = limits
        valuesLeft = limits.values
    }

    mutating func document() throws(JSONFailure) -> JSON {
        let value = try self.value(depth: 0)
        skipWhiteSpace()
        if position < bytes.count { throw failure("text after the value") }
        return value
    }

    func failure(_ reason: String) -> JSONFailure { JSONFailure(offset: position, reason: reason) }

    var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    mutating func skipWhiteSpace() {
        while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    mutating func accept(_ character: Unicode.Scalar) -> Bool {
        guard current == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    mutating func value(depth: Int) throws(JSONFailure) -> JSON {
        skipWhiteSpace()
        valuesLeft -= 1
        if valuesLeft < 0 { throw failure("more than \(limits.values) values") }
        guard let first = current else { throw failure("the text ends where a value is expected") }
        switch first {
        case UInt8(ascii: "{"): return try object(depth: depth + 1)
        case UInt8(ascii: "["): return try array(depth: depth + 1)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw failure("no value starts here")
        }
    }

    mutating func word(_ word: StaticString, _ value: JSON) throws(JSONFailure) -> JSON {
        for i in 0..<word.utf8CodeUnitCount {
            guard current == word.utf8Start[i] else { throw failure("expected \(word)") }
            position += 1
        }
        return value
    }

    mutating func object(depth: Int) throws(JSONFailure) -> JSON {
        if depth > limits.depth { throw failure("nested deeper than \(limits.depth)") }
        position += 1
        var members = JSONObject()
        skipWhiteSpace()
        if accept("}") { return .object(members) }
        repeat {
            skipWhiteSpace()
            guard current == UInt8(ascii: "\"") else { throw failure("expected a member name") }
            let start = position
            let name = try string()
            if members[name] != nil { throw JSONFailure(offset: start, reason: "duplicate name \"\(name)\"") }
            skipWhiteSpace()
            guard accept(":") else { throw failure("expected ':'") }
            members[name] = try value(depth: depth)
            skipWhiteSpace()
        } while accept(",")
        guard accept("}") else { throw failure("expected ',' or '}'") }
        return .object(members)
    }

    mutating func array(depth: Int) throws(JSONFailure) -> JSON {
        if depth > limits.depth { throw failure("nested deeper than \(limits.depth)") }
        position += 1
        var elements: [JSON] = []
        skipWhiteSpace()
        if accept("]") { return .array(elements) }
        repeat {
            elements.append(try value(depth: depth))
            skipWhiteSpace()
        } while accept(",")
        guard accept("]") else { throw failure("expected ',' or ']'") }
        return .array(elements)
    }

    mutating func digits() throws(JSONFailure) {
        let start = position
        while let byte = current, byte >= 0x30, byte <= 0x39 { position += 1 }
        if position == start { throw failure("expected a digit") }
    }

    mutating func number() throws(JSONFailure) -> JSON {
        let start = position
        if accept("-"), limits.negativeInfinity, current == UInt8(ascii: "I") {
            return try word("Infinity", .number(-.infinity))
        }
        let leading = position
        try digits()
        if bytes[leading] == 0x30, position > leading + 1 { throw failure("a number starts with 0") }
        var whole = true
        if accept(".") {
            whole = false
            try digits()
        }
        if accept("e") || accept("E") {
            whole = false
            if !accept("+") { _ = accept("-") }
            try digits()
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if whole, let value = Int(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else { throw failure("a number is out of range") }
        return .number(value)
    }

    mutating func string() throws(JSONFailure) -> String {
        position += 1
        let start = position
        var escaped: [UInt8]?
        while let byte = current, byte != UInt8(ascii: "\"") {
            if byte < 0x20 { throw failure("a control character inside a string") }
            if byte == UInt8(ascii: "\\") {
                if escaped == nil { escaped = Array(bytes[start..<position]) }
                let scalar = try escape()
                escaped?.append(contentsOf: Array(String(Character(scalar)).utf8))
            } else {
                escaped?.append(byte)
                position += 1
            }
        }
        guard current != nil else { throw failure("a string without an end") }
        let raw = UnsafeRawBufferPointer(rebasing: bytes[start..<position])
        let text = escaped.map { String(validating: $0, as: UTF8.self) } ?? String(validating: raw, as: UTF8.self)
        guard let text else { throw JSONFailure(offset: start, reason: "a string is not valid UTF-8") }
        position += 1
        return text
    }

    mutating func escape() throws(JSONFailure) -> Unicode.Scalar {
        position += 1
        guard let byte = current else { throw failure("a string without an end") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try unicodeEscape()
        default: throw failure("an unknown escape")
        }
    }

    /// `\uXXXX`, or a high and a low surrogate in two of them.
    mutating func unicodeEscape() throws(JSONFailure) -> Unicode.Scalar {
        let first = try hexUnit()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xDC00, accept("\\"), accept("u") else { throw failure("half of a surrogate pair") }
        let second = try hexUnit()
        guard (0xDC00...0xDFFF).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw failure("half of a surrogate pair") }
        return scalar
    }

    mutating func hexUnit() throws(JSONFailure) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = current.flatMap({ Character(Unicode.Scalar($0)).hexDigitValue }) else {
                throw failure("expected four hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }
}
