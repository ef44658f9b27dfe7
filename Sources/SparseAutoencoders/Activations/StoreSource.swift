import Files
import Tensors

/// Tokens of a store in a random order over all of its shards, a new order in each epoch, without end.
public final class StoreSource: ActivationSource {
    /// Channels of a token, `D`.
    public let width: Int
    /// Tokens of one map.
    public let positions: Int
    /// The store's origin.
    public let origin: JSON
    /// Tokens of the store.
    public let tokens: Int
    private let shards: [ActivationShard]
    private let starts: [Int]
    private let group: Int
    private let seed: UInt64
    private var drawn = 0

    /// - Parameter keepsSamples: maps stay whole, for rules that select per sample.
    /// - Throws: `Failure` if the store is damaged or empty.
    public init(_ store: ActivationStore, keepsSamples: Bool, seed: UInt64) throws {
        shards = try store.open(verify: true)
        (width, positions, origin) = (store.width, store.positions, store.origin)
        group = keepsSamples ? positions : 1
        self.seed = seed
        var total = 0
        starts = shards.map { shard in
            defer { total += shard.activations.shape[0] }
            return total
        }
        tokens = total
        guard total > 0 else { throw SimpleFailure(.missingInput, "\(store.folder): no activations in it") }
    }

    /// Never nil. Throws `SimpleFailure(.usage)` if `count` is not a multiple of a sample that stays whole.
    public func next(_ count: Int) throws -> Tensor? {
        guard count % group == 0 else {
            throw SimpleFailure(.usage, "batch of \(count) tokens: not a multiple of the \(group) of a sample")
        }
        let batch = Tensor([count, width])
        let groups = tokens / group
        var permutation = IndexPermutation(count: groups, seed: seed, epoch: drawn / groups)
        for index in 0..<count / group {
            if drawn % groups == 0 { permutation = IndexPermutation(count: groups, seed: seed, epoch: drawn / groups) }
            let token = permutation(drawn % groups) * group
            copy(token, to: batch.pointer + index * group * width)
            drawn += 1
        }
        return batch
    }

    /// Widens the tokens of one group.
    private func copy(_ token: Int, to target: UnsafeMutablePointer<Float>) {
        var (low, high) = (0, starts.count - 1)
        while low < high {
            let middle = (low + high + 1) / 2
            if starts[middle] <= token { low = middle } else { high = middle - 1 }
        }
        shards[low].copyElements(from: (token - starts[low]) * width, count: group * width, to: target)
    }

    /// How many groups were drawn.
    public var state: SourceState { SourceState(json: ["drawn": .integer(drawn), "of": .integer(tokens)]) }

    /// Throws `SimpleFailure(.badData)` for a place in a store of another size.
    public func restore(_ state: SourceState) throws {
        guard let drawn = state.json["drawn"]?.int, drawn >= 0, state.json["of"]?.int == tokens else {
            throw SimpleFailure(.badData, "checkpoint: no place in the activations, or one in a store of another size")
        }
        self.drawn = drawn
    }
}
