import Tensors

/// A random order of `0 ..< count` that takes no memory: position i's number is computed. A balanced Feistel network of
/// four rounds on the least even number of bits that hold `count`, walked on until the result is below `count`.
struct IndexPermutation: Sendable {
    let count: Int
    private let halfBits: Int
    private let random: CounterRandom

    /// - Parameter unit: tells apart the orders of one seed.
    init(count: Int, seed: UInt64, unit: UInt64) {
        precondition(count > 0, "permutation of \(count)")
        self.count = count
        let bits = Int.bitWidth - (count - 1).leadingZeroBitCount
        halfBits = max(1, (bits + 1) / 2)
        random = CounterRandom(seed: seed, purpose: .shuffle, unit: unit)
    }

    func callAsFunction(_ position: Int) -> Int {
        var value = position
        repeat { value = encrypt(value) } while value >= count
        return value
    }

    private func encrypt(_ value: Int) -> Int {
        let mask = (1 << halfBits) - 1
        var (left, right) = (value >> halfBits, value & mask)
        for round in 0..<4 {
            (left, right) = (right, left ^ Int(random.at(step: UInt64(round)).bits(right)) & mask)
        }
        return left << halfBits | right
    }
}
