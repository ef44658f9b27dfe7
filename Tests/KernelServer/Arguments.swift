// What a call carries: a row of 64-bit words. A number is one word, a pointer two: the number of a region of memory and
// bytes from its begin, or −1 and an address of this program (0: nil).

struct Arguments {
    var words: UnsafePointer<Int64>
    let regions: UnsafePointer<UnsafeMutableRawPointer?>

    mutating func next() -> Int64 {
        defer { words += 1 }
        return words[0]
    }

    mutating func address() -> UnsafeMutableRawPointer? {
        let (region, offset) = (Int(next()), Int(next()))
        return region < 0 ? UnsafeMutableRawPointer(bitPattern: offset) : regions[region].map { $0 + offset }
    }
}

/// A value that a kernel takes.
protocol Argument {
    static func read(_ arguments: inout Arguments) -> Self
}

extension Int: Argument {
    static func read(_ arguments: inout Arguments) -> Int { Int(arguments.next()) }
}

extension UInt32: Argument {
    static func read(_ arguments: inout Arguments) -> UInt32 { UInt32(truncatingIfNeeded: arguments.next()) }
}

extension UInt64: Argument {
    static func read(_ arguments: inout Arguments) -> UInt64 { UInt64(bitPattern: arguments.next()) }
}

extension Bool: Argument {
    static func read(_ arguments: inout Arguments) -> Bool { arguments.next() != 0 }
}

extension Float: Argument {
    static func read(_ arguments: inout Arguments) -> Float { Float(bitPattern: UInt32.read(&arguments)) }
}

extension Range<Int>: Argument {
    static func read(_ arguments: inout Arguments) -> Range<Int> {
        let lower = Int.read(&arguments)
        return lower..<Int.read(&arguments)
    }
}

/// An argument that is an address; its optional is one that may be nil.
protocol Address: Argument {
    init(at address: UnsafeMutableRawPointer)
}

extension Address {
    static func read(_ arguments: inout Arguments) -> Self { Self(at: arguments.address()!) }
}

extension Optional: Argument where Wrapped: Address {
    static func read(_ arguments: inout Arguments) -> Wrapped? { arguments.address().map { Wrapped(at: $0) } }
}

extension UnsafePointer: Address {
    init(at address: UnsafeMutableRawPointer) { self.init(address.assumingMemoryBound(to: Pointee.self)) }
}

extension UnsafeMutablePointer: Address {
    init(at address: UnsafeMutableRawPointer) { self = address.assumingMemoryBound(to: Pointee.self) }
}

extension UnsafeRawPointer: Address {
    init(at address: UnsafeMutableRawPointer) { self.init(address) }
}
