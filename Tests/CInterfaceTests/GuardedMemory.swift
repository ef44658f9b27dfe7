import Foundation
import TestSupport

/// Memory between two pages that may not be touched: an array that ends, or begins, at one of them.
final class GuardedMemory {
    static let capacity = 1 << 20
    private static let page = 4096
    private let region: UnsafeMutableRawPointer

    init() {
        region = mmap(nil, Self.capacity + 2 * Self.page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        precondition(region != MAP_FAILED, "no memory")
        mprotect(region, Self.page, PROT_NONE)
        mprotect(region + Self.page + Self.capacity, Self.page, PROT_NONE)
    }

    deinit { munmap(region, Self.capacity + 2 * Self.page) }

    /// Room for `count` elements.
    ///
    /// - Parameter atEnd: whether it ends at the page behind it, or begins at the one before it.
    func place<Element>(_ count: Int, of type: Element.Type, atEnd: Bool) -> UnsafeMutablePointer<Element> {
        let bytes = count * MemoryLayout<Element>.stride
        precondition(bytes <= Self.capacity, "\(count) elements")
        let start = region + Self.page + (atEnd ? Self.capacity - bytes : 0)
        return start.bindMemory(to: Element.self, capacity: count)
    }
}

/// Random numbers, the same for the same seed.
struct Dice {
    private var mutator: Mutator
    private(set) var memory: [GuardedMemory]
    private var used = 0

    init(seed: UInt64, memory: [GuardedMemory]) {
        mutator = Mutator(seed: seed &* 0x9E37_79B9_7F4A_7C15)
        self.memory = memory
    }

    mutating func below(_ bound: Int) -> Int { mutator.below(bound) }

    /// True once in so many times.
    mutating func once(in times: Int) -> Bool { below(times) == 0 }

    mutating func pick<Value>(_ values: [Value]) -> Value { values[below(values.count)] }

    /// For the next call: memory of the last one is used again.
    mutating func begin() { used = 0 }

    /// Guarded memory for an array; nil once in a while.
    mutating func room<Element>(_ count: Int, of type: Element.Type) -> UnsafeMutablePointer<Element>? {
        if once(in: 60) || used == memory.count { return nil }
        used += 1
        return memory[used - 1].place(max(0, count), of: type, atEnd: !once(in: 4))
    }

    /// An array of finite numbers, or once in a while with one that is not.
    mutating func floats(_ count: Int, scale: Float = 1) -> UnsafeMutablePointer<Float>? {
        guard let numbers = room(count, of: Float.self) else { return nil }
        for i in 0..<count { numbers[i] = Float(Int32(truncatingIfNeeded: i &* 7919 &+ below(3)) % 64) / 32 * scale - scale }
        if count > 0, once(in: 40) { numbers[below(count)] = pick([.nan, .infinity, -.infinity]) }
        return numbers
    }

    mutating func numbers<Element>(_ values: [Element]) -> UnsafeMutablePointer<Element>? {
        guard let target = room(values.count, of: Element.self) else { return nil }
        for (index, value) in values.enumerated() { target[index] = value }
        return target
    }

    /// A shape, or once in a while one that cannot be. Of those none is so large, and could be, that a call would read an array
    /// of that many elements.
    mutating func shape(_ extents: [Int]) -> UnsafeMutablePointer<Int64>? {
        var extents = extents.map { Int64($0) }
        if once(in: 10) {
            extents[below(extents.count)] = pick([0, -1, .min, .max, 1 << 33, 1 << 62, -(1 << 40)])
        }
        return numbers(extents)
    }

    /// A count, or once in a while another.
    mutating func count(_ right: Int) -> Int64 {
        once(in: 20) ? pick([0, -1, .min, .max, Int64(right) + 1, Int64(right) - 1]) : Int64(right)
    }

    /// A JSON object of some of these members, each with one of its values, most often the first, which is a right one.
    mutating func object(_ members: [(String, [String])], always: Int = 0) -> String {
        var parts: [String] = []
        for (index, (key, values)) in members.enumerated() where index < always && !once(in: 20) || once(in: 4) {
            parts.append("\"\(key)\": \(once(in: 10) ? pick(values) : values[0])")
        }
        let text = "{" + parts.joined(separator: ", ") + "}"
        if !once(in: 20) { return text }
        return String(decoding: mutator.mutate(Array(text.utf8), others: [], words: []).filter { $0 != 0 }, as: UTF8.self)
    }
}
