/// Instructions that push a number or a text.
extension PickleReader {
    /// - Returns: false for an instruction of another kind.
    mutating func stepOnLiterals(_ code: UInt8) throws -> Bool {
        switch Unicode.Scalar(code) {
        case "N": stack.append(.none)
        case "\u{88}": stack.append(.bool(true))
        case "\u{89}": stack.append(.bool(false))
        case "I": stack.append(Self.number(try line()))
        case "L": stack.append(Self.number(try line()))
        case "J": stack.append(.int(Int(try reader.number(Int32.self))))
        case "K": stack.append(.int(try reader.int(UInt8.self)))
        case "M": stack.append(.int(try reader.int(UInt16.self)))
        case "\u{8A}": try pushLong(try reader.int(UInt8.self))
        case "\u{8B}": try pushLong(try reader.int(UInt32.self))
        case "F":
            _ = try line()
            stack.append(.opaque)
        case "G": try pushOpaque(8)
        case "C", "U": try pushOpaque(try reader.int(UInt8.self))
        case "B", "T": try pushOpaque(try reader.int(UInt32.self))
        case "\u{8E}", "\u{96}": try pushOpaque(try reader.int(UInt64.self))
        case "S": stack.append(.string(Self.unquoted(try line())))
        case "V": stack.append(.string(try line()))
        case "X": try pushString(try reader.int(UInt32.self))
        case "\u{8C}": try pushString(try reader.int(UInt8.self))
        case "\u{8D}": try pushString(try reader.int(UInt64.self))
        default: return false
        }
        return true
    }

    /// A number in decimal digits up to the line's end.
    mutating func decimal() throws -> Int {
        guard let value = Int(try line()), value >= 0 else { throw malformed("a place in its pickle is not a number") }
        return value
    }

    /// The text up to the line's end.
    mutating func line() throws -> String {
        let start = reader.position
        while try reader.number(UInt8.self) != 0x0A {}
        let bytes = reader.bytes[start..<reader.position - 1]
        guard bytes.count <= 1 << 16, let text = String(validating: bytes, as: UTF8.self) else {
            throw malformed("a line in its pickle is not text")
        }
        return text
    }

    /// Protocol 0: `12`, `12L`, and `00` and `01` for booleans.
    private static func number(_ line: String) -> PickleValue {
        if line == "00" || line == "01" { return .bool(line == "01") }
        return Int(line.hasSuffix("L") ? String(line.dropLast()) : line).map { .int($0) } ?? .opaque
    }

    private static func unquoted(_ line: String) -> String {
        line.count >= 2 && (line.first == "'" || line.first == "\"") ? String(line.dropFirst().dropLast()) : line
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
    private mutating func pushLong(_ length: Int) throws {
        let bytes = try reader.take(length)
        guard bytes.count <= 8 else {
            stack.append(.opaque)
            return
        }
        var value: UInt64 = (bytes.last ?? 0) & 0x80 != 0 ? .max : 0
        for byte in bytes.reversed() { value = value << 8 | UInt64(byte) }
        stack.append(.int(Int(Int64(bitPattern: value))))
    }
}
