import StableDiffusion
import Tensors

/// Drawing a run's latents again: each is noised to a middle time step, several times, the model draws each on from there
/// under the dream's own text, and the one that excites the objective most goes on.
///
/// What the ascent has put into a latent beside what a picture can show is lost in the noise, as the model does not draw it;
/// what it shows stays (docs/dreams.md).
struct Redrawing {
    let dreamer: Dreamer
    /// One for all latents, or one each.
    let objectives: [Objective]
    let timestep: Int
    /// Per latent.
    let seeds: [UInt64]
    /// Per latent, what it is optimized for.
    let units: [UInt64]
    let settings: DreamSettings

    /// - Parameters:
    ///   - latents: `[B, C, h, w]`.
    ///   - round: from 0.
    func redraw(_ latents: Tensor, _ round: Int) -> Tensor {
        let candidates = (0..<settings.redrawDraws).map { drawn(latents, round: round, draw: $0) }
        if candidates.count == 1 { return candidates[0] }
        let seen = candidates.map(activations)
        let best = Tensor(latents.shape)
        let size = latents.count / seeds.count
        for index in seeds.indices {
            let scores = TimestepSpread.combined(seen[0].indices.map { step in seen.map { $0[step][index] } })
            let first = scores.indices.max { scores[$0] < scores[$1] || scores[$0] == scores[$1] && $0 > $1 } ?? 0
            (best.pointer + index * size).update(from: candidates[first].pointer + index * size, count: size)
        }
        return best
    }

    /// `[timestep][latent]`, under two draws of the schedule's noise in all or one at each of the time steps.
    private func activations(_ latents: Tensor) -> [[Double]] {
        let compared = dreamer.spread(timestep, settings.timestepSpread).compared
        return compared.map {
            dreamer.measured(latents, objectives: objectives, timestep: $0, noiseDraws: compared.count == 1 ? 2 : 1)
        }
    }

    /// Noise is a function of (seed, unit, round, draw): a latent's is that of its own seed.
    private func drawn(_ latents: Tensor, round: Int, draw: Int) -> Tensor {
        let drawing = NaturalDrawing(
            unet: dreamer.unet, text: dreamer.text, schedule: dreamer.schedule, prediction: dreamer.prediction)
        let noise = Tensor(latents.shape)
        let size = noise.count / seeds.count
        for (index, (seed, unit)) in zip(seeds, units).enumerated() {
            CounterRandom(seed: seed, purpose: .redraw, unit: unit, step: UInt64(round * settings.redrawDraws + draw))
                .fillNormal(noise.pointer + index * size, count: size)
        }
        return drawing.redraw(
            latents, noise: noise, from: settings.redrawTimestep(round), steps: settings.redrawSteps) {}
    }
}
