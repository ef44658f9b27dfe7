/// When channels are active: how often each is among the strongest at each time step, how strong it gets, and in which
/// generations (method of the paper, its time-step analysis).
///
/// Generations are added one at a time and nothing of them is kept but the strongest channels, so that a study's size
/// is not bounded by memory. The result depends on the set of generations, not on the order in which they come (means but
/// for rounding).
public struct TimestepAnalysis: Sendable {
    /// One generation in which a channel was among the strongest.
    public struct Example: Sendable, Equatable {
        public let generation: Int
        public let activation: Float

        public init(generation: Int, activation: Float) {
            self.generation = generation
            self.activation = activation
        }
    }

    /// Number of channels or features, D.
    public let channels: Int
    /// Observed time steps, ascending, T of them.
    public let timesteps: [Int]
    /// How many of the strongest channels count as active.
    public let topK: Int
    /// Whether a channel with the value 0 can be counted: raw channels can, SAE features cannot.
    public let countsZero: Bool
    public private(set) var generations = 0
    /// `[D, T]`: in how many generations the channel was among the `topK` strongest.
    public private(set) var counts: [Int32]
    /// `[D, T]`: the largest activation seen, at least 0.
    public private(set) var maxActivation: [Float]
    /// `[D, T]`.
    private var sums: [Double]
    private var found: [[Example]]

    public init(channels: Int, timesteps: [Int], topK: Int, countsZero: Bool) {
        precondition(channels > 0 && topK > 0, "\(channels) channels, top \(topK)")
        precondition(zip(timesteps, timesteps.dropFirst()).allSatisfy(<), "time steps must ascend: \(timesteps)")
        self.channels = channels
        self.timesteps = timesteps
        self.topK = topK
        self.countsZero = countsZero
        counts = Array(repeating: 0, count: channels * timesteps.count)
        maxActivation = Array(repeating: 0, count: channels * timesteps.count)
        sums = Array(repeating: 0, count: channels * timesteps.count)
        found = Array(repeating: [], count: channels * timesteps.count)
    }

    /// Takes in one generation.
    ///
    /// - Parameters:
    ///   - generation: its number; examples are named by it.
    ///   - activations: `[T, D]`, reduced over positions, time steps ascending.
    public mutating func add(generation: Int, activations: UnsafeBufferPointer<Float>) {
        precondition(activations.count == channels * timesteps.count, "\(activations.count) activations")
        for step in timesteps.indices {
            let row = UnsafeBufferPointer(rebasing: activations[step * channels..<(step + 1) * channels])
            for channel in 0..<channels { sums[channel * timesteps.count + step] += Double(row[channel]) }
            for channel in 0..<channels where row[channel] > maxActivation[channel * timesteps.count + step] {
                maxActivation[channel * timesteps.count + step] = row[channel]
            }
            for channel in Self.strongest(row, count: topK) where countsZero || row[channel] > 0 {
                let cell = channel * timesteps.count + step
                counts[cell] += 1
                found[cell].append(Example(generation: generation, activation: row[channel]))
            }
        }
        generations += 1
    }

    /// `[D, T]`: counts divided by the number of generations.
    public var frequency: [Float] { counts.map { Float($0) / Float(max(generations, 1)) } }

    /// `[D, T]`: the mean activation.
    public var meanActivation: [Float] { sums.map { Float($0 / Double(max(generations, 1))) } }

    /// The generations in which a channel was among the strongest at a time step, most active first (equal: the lower
    /// number first).
    public func examples(channel: Int, step: Int) -> [Example] {
        found[channel * timesteps.count + step].sorted {
            ($1.activation, $0.generation) < ($0.activation, $1.generation)
        }
    }

    /// Indices of the `count` largest values; of equal ones the lower index; NaN never.
    package static func strongest(_ values: UnsafeBufferPointer<Float>, count: Int) -> [Int] {
        // A heap with the weakest kept value at its root: one comparison for almost every value.
        var kept: [Int] = []
        func weaker(_ a: Int, _ b: Int) -> Bool { values[a] < values[b] || (values[a] == values[b] && a > b) }
        func sink(from start: Int) {
            var node = start
            while true {
                var least = node
                for child in [2 * node + 1, 2 * node + 2] where child < kept.count && weaker(kept[child], kept[least]) {
                    least = child
                }
                if least == node { return }
                kept.swapAt(node, least)
                node = least
            }
        }
        for index in values.indices where !values[index].isNaN {
            if kept.count < count {
                kept.append(index)
                if kept.count == count { for node in (0..<count / 2).reversed() { sink(from: node) } }
            } else if values[index] > values[kept[0]] {
                kept[0] = index
                sink(from: 0)
            }
        }
        return kept
    }
}
