import Tensors
import Visualization

/// Where a result starts.
struct ItemStart {
    /// `[1, C, h, w]`
    let latent: Tensor
    /// Which picture of the pool it is, if it is one.
    var poolIndex: Int?
}

/// What an experiment has found in its pool, per time step: `[objective][start]`. Searched for all objectives at once, for
/// the U-Net's share of the work is the same for all.
final class FoundStarts {
    fileprivate var byTimestep: [Int: [[PoolStart]]] = [:]
}

extension DreamExperiment {
    /// The starts of a batch.
    func starts(_ items: [DreamItem], dreamer: Dreamer, check: () throws -> Void) throws -> [ItemStart] {
        switch request.start {
        case .noise:
            let channels = session.folder.unetConfig.inChannels
            return items.map {
                ItemStart(
                    latent: Dreamer.noise(seed: seed($0), channels: channels, height: size.height, width: size.width))
            }
        case .latents(let latents, _):
            return items.map { item in
                let index = item.seed % latents.shape[0]
                return ItemStart(latent: latents.slice(index..<index + 1))
            }
        case .pool(let count):
            let pool = try session.pool(count, size: size)
            let best = try starts(in: pool, timestep: items[0].timestep, dreamer: dreamer, check: check)
            return items.map { item in
                let starts = best[item.objective]
                let index = starts[item.seed % starts.count].index
                return ItemStart(latent: pool.latents.slice(index..<index + 1), poolIndex: index)
            }
        }
    }

    private func starts(
        in pool: NaturalPool, timestep: Int, dreamer: Dreamer, check: () throws -> Void
    ) throws -> [[PoolStart]] {
        if let known = found.byTimestep[timestep] { return known }
        let starts = try PoolSearch(pool, dreamer: dreamer)
            .starts(
                request.objectives, timestep: timestep, spread: request.settings.timestepSpread,
                count: request.seeds.count, check: check)
        found.byTimestep[timestep] = starts
        return starts
    }
}
