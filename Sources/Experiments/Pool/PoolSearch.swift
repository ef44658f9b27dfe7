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
/// Every picture is seen once, under one draw of noise (with a spread once at each of three time steps); the best of these,
/// eight for each that is wanted, are measured as results are. Among pictures that do not excite an objective at all those
/// lead in which its readouts come nearest to.
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
    /// - Parameters:
    ///   - spread: the dreams' `DreamSettings.timestepSpread`.
    ///   - check: called after every batch; may throw to stop.
    /// - Throws: as `Dreamer.measure`; what `check` throws.
    public func starts(
        _ objectives: [Objective], timestep: Int, spread: Int = 0, count: Int, check: () throws -> Void = {}
    ) throws -> [[PoolStart]] {
        let compared = dreamer.spread(timestep, spread).compared
        let seen = try compared.map { try scores(objectives, timestep: $0, check: check) }
        return try objectives.indices.map { objective in
            let order = Self.order(seen.map { $0[objective] }).prefix(Self.candidates * count)
            let measured = try order.map { index in
                try check()
                let latent = pool.latents.slice(index..<index + 1)
                return try dreamer.measure(latent, objectives: [objectives[objective]], timestep: timestep)[0]
            }
            // What was measured takes the place of what was seen once.
            let again = seen.enumerated().map { step, scores in
                zip(order, measured).map { index, activation in
                    let seen = scores[objective][index]
                    return step == 0 ? Score(rectified: activation, plain: seen.plain) : seen
                }
            }
            return Self.order(again).prefix(count).map {
                PoolStart(index: order[order.startIndex + $0], activation: measured[$0])
            }
        }
    }

    /// A picture's a(z) under one draw of noise, and what it is without the rectifier if that leaves nothing.
    private struct Score {
        let rectified: Double
        let plain: Double
    }

    /// Pictures by what they have at several time steps, `[timestep][picture]`, the best first.
    private static func order(_ scores: [[Score]]) -> [Int] {
        let rectified = TimestepSpread.combined(scores.map { $0.map(\.rectified) })
        let plain = TimestepSpread.combined(scores.map { $0.map(\.plain) })
        return rectified.indices.sorted { a, b in
            if rectified[a] != rectified[b] { return rectified[a] > rectified[b] }
            return plain[a] != plain[b] ? plain[a] > plain[b] : a < b
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
