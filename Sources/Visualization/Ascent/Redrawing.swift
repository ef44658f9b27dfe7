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

    /// Draws of the schedule's noise in which candidates are compared.
    private static let noiseDraws = 2

    /// - Parameters:
    ///   - latents: `[B, C, h, w]`.
    ///   - round: from 0.
    func redraw(_ latents: Tensor, _ round: Int) -> Tensor {
        var best = drawn(latents, round: round, draw: 0)
        if settings.redrawDraws == 1 { return best }
        var most = activations(best)
        let size = latents.count / seeds.count
        for draw in 1..<settings.redrawDraws {
            let other = drawn(latents, round: round, draw: draw)
            let reached = activations(other)
            let kept = Tensor(latents.shape)
            for index in seeds.indices {
                let isBetter = reached[index] > most[index]
                let source = (isBetter ? other : best).pointer + index * size
                (kept.pointer + index * size).update(from: source, count: size)
                if isBetter { most[index] = reached[index] }
            }
            best = kept
        }
        return best
    }

    private func activations(_ latents: Tensor) -> [Double] {
        dreamer.measured(latents, objectives: objectives, timestep: timestep, noiseDraws: Self.noiseDraws)
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
