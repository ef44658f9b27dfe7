import Tensors
import Visualization

/// Where a dream starts in a pool.
public struct PoolStart: Sendable, Equatable {
    /// The picture's number in the pool.
    public let index: Int
    /// Its a(z) by `Dreamer.measure`.
    public let activation: Double

    /// - Parameters:
    ///   - index: the picture's number in the pool.
    ///   - activation: its a(z).
    public init(index: Int, activation: Double) { (self.index, self.activation) = (index, activation) }
}

/// The pictures of a pool that excite objectives most at a time step.
///
/// Every picture is seen once, under one draw of noise; the best of these, eight for each that is wanted, are measured as
/// results are. Among pictures that do not excite an objective at all those lead in which its readouts come nearest to.
public struct PoolSearch {
    /// How many candidates are measured for each start.
    static let candidates = 8

    /// The pictures.
    public let pool: NaturalPool
    /// The layer they are seen by.
    public let dreamer: Dreamer

    /// - Parameter dreamer: loaded up to its hook point at least.
    public init(_ pool: NaturalPool, dreamer: Dreamer) { (self.pool, self.dreamer) = (pool, dreamer) }

    /// The best starts for each objective, best first; fewer than `count` from a smaller pool.
    ///
    /// - Parameter check: called after every batch; may throw to stop.
    /// - Throws: as `Dreamer.measure`; what `check` throws.
    public func starts(
        _ objectives: [Objective], timestep: Int, count: Int, check: () throws -> Void = {}
    ) throws -> [[PoolStart]] {
        let first = try scores(objectives, timestep: timestep, check: check)
        return try zip(objectives, first).map { objective, scores in
            let best = scores.indices.sorted { scores[$0].leads(scores[$1], $0 < $1) }
                .prefix(Self.candidates * count)
            let measured = try best.map { index in
                try check()
                let latent = pool.latents.slice(index..<index + 1)
                let activation = try dreamer.measure(latent, objectives: [objective], timestep: timestep)[0]
                return (
                    PoolStart(index: index, activation: activation),
                    Score(rectified: activation, plain: scores[index].plain)
                )
            }
            return measured.sorted { $0.1.leads($1.1, $0.0.index < $1.0.index) }.prefix(count).map(\.0)
        }
    }

    /// A picture's a(z) under one draw of noise, and what it is without the rectifier if that leaves nothing.
    private struct Score {
        let rectified: Double
        let plain: Double

        func leads(_ other: Score, _ isFirst: Bool) -> Bool {
            if (rectified, plain) == (other.rectified, other.plain) { return isFirst }
            return (rectified, plain) > (other.rectified, other.plain)
        }
    }

    /// `[objective][picture]`
    private func scores(
        _ objectives: [Objective], timestep: Int, check: () throws -> Void
    ) throws -> [[Score]] {
        var scores = [[Score]](repeating: [], count: objectives.count)
        let (height, width) = (pool.latents.shape[2], pool.latents.shape[3])
        for part in NaturalPool.parts(0..<pool.count, batch: NaturalPool.batch((height, width))) {
            try dreamer.observe(pool.latents.slice(part), timestep: timestep, noiseDraws: 1) { activation in
                for sample in 0..<part.count {
                    let seen = activation.slice(sample..<sample + 1).reshaped(Array(activation.shape[1...]))
                    for (index, objective) in objectives.enumerated() {
                        func value(_ rectifier: Rectifier) -> Double {
                            objective.value(seen, rectifier: rectifier, engine: dreamer.unet.engine)
                        }
                        let rectified = value(.relu)
                        scores[index].append(Score(rectified: rectified, plain: rectified > 0 ? 0 : value(.none)))
                    }
                }
            }
            try check()
        }
        return scores
    }
}
