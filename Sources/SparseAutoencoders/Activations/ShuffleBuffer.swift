import Tensors

/// Mixes tokens of a stream: whole maps in, single tokens (or whole maps, for rules that select per sample) out in
/// random order. Tokens leave only while the buffer is at least half full, so each batch mixes prompts and time
/// steps.
///
/// What comes out depends on what was put in, in which order, and on the seed; not on when.
public final class ShuffleBuffer {
    /// Channels of a token.
    public let width: Int
    /// Tokens that leave together.
    public let group: Int
    /// Groups that may be inside.
    public let capacity: Int
    private let random: CounterRandom
    private let storage: Tensor
    /// Groups inside, and drawn so far.
    private(set) var filled = 0
    private(set) var drawn = 0
    /// Maps that came while the buffer was full.
    private var waiting: [Tensor] = []

    /// An empty buffer.
    ///
    /// - Precondition: `capacityTokens` holds two groups at least.
    public init(width: Int, group: Int, capacityTokens: Int, seed: UInt64) {
        precondition(width > 0 && group > 0 && capacityTokens >= 2 * group, "buffer of \(capacityTokens) tokens")
        self.width = width
        self.group = group
        capacity = capacityTokens / group
        random = CounterRandom(seed: seed, purpose: .shuffle)
        storage = Tensor([capacity, group * width])
    }

    /// Puts in the tokens of one map, `[n, width]`, n a multiple of `group`.
    public func push(_ map: Tensor) {
        precondition(map.channels == width && map.rows % group == 0, "map \(map.shape) for groups of \(group)")
        waiting.append(map.reshaped([map.rows / group, group * width]))
        admit()
    }

    private func admit() {
        while let map = waiting.first, filled + map.rows <= capacity {
            (storage.pointer + filled * group * width).update(from: map.pointer, count: map.count)
            filled += map.rows
            waiting.removeFirst()
        }
    }

    /// Draws `count` tokens into a batch if the buffer stays half full, or, when nothing more will come, if it holds as
    /// many.
    public func draw(_ count: Int, last: Bool) -> Tensor? {
        precondition(count % group == 0, "batch of \(count) tokens of groups of \(group)")
        admit()
        let groups = count / group
        let mayEmpty = last && waiting.isEmpty
        guard filled - groups >= (mayEmpty ? 0 : capacity / 2) else { return nil }
        let batch = Tensor([count, width])
        let size = group * width
        for index in 0..<groups {
            let chosen = random.integer(drawn, in: 0...filled - 1)
            (batch.pointer + index * size).update(from: storage.pointer + chosen * size, count: size)
            filled -= 1
            drawn += 1
            if chosen != filled {
                (storage.pointer + chosen * size).update(from: storage.pointer + filled * size, count: size)
            }
        }
        admit()
        return batch
    }

    /// The largest batch that can ever be drawn before the end.
    public var largestBatch: Int { (capacity - capacity / 2) * group }

    /// Contents, followed by what waits outside.
    public var contents: Tensor {
        let rows = filled + waiting.reduce(0) { $0 + $1.rows }
        let result = Tensor([max(rows, 1), group * width])
        var row = filled
        result.pointer.update(from: storage.pointer, count: filled * group * width)
        for map in waiting {
            (result.pointer + row * group * width).update(from: map.pointer, count: map.count)
            row += map.rows
        }
        return result
    }

    /// Takes over another buffer's `contents`; `sizes` are the rows of the maps that waited.
    public func restore(_ contents: Tensor, filled: Int, drawn: Int, waiting sizes: [Int]) {
        precondition(filled <= capacity && contents.channels == group * width, "contents \(contents.shape)")
        storage.pointer.update(from: contents.pointer, count: filled * group * width)
        (self.filled, self.drawn) = (filled, drawn)
        var row = filled
        waiting = sizes.map { size in
            defer { row += size }
            return contents.slice(row..<row + size).copy()
        }
    }

    /// Groups of each map that waits outside.
    public var waitingSizes: [Int] { waiting.map(\.rows) }
}
