import StableDiffusion
import Tensors

/// A layer at one time step.
public struct DreamView {
    let layer: any DreamLayer
    /// How noisy a latent is there: √ᾱ_t and √(1 − ᾱ_t).
    let shares: (signal: Float, noise: Float)
}

/// Time steps around a dream's own.
package struct TimestepSpread {
    /// The dream's.
    package let timestep: Int
    /// A standard deviation; 0: nothing but the dream's own.
    package let deviation: Int
    /// Of the schedule.
    package let count: Int

    /// Normally distributed: a function of the dream's time step and the number alone, so that latents that share a batch share
    /// the U-Net's work.
    func drawn(_ number: Int) -> Int {
        let random = CounterRandom(seed: 0, purpose: .timestep, unit: UInt64(timestep), step: UInt64(number))
        return clamped(timestep + Int((Float(deviation) * random.normal(0)).rounded()))
    }

    /// Where latents are compared: the dream's own time step, and one deviation to either side.
    package var compared: [Int] {
        deviation == 0 ? [timestep] : [timestep, clamped(timestep - deviation), clamped(timestep + deviation)]
    }

    private func clamped(_ timestep: Int) -> Int { min(max(timestep, 0), count - 1) }

    /// One number for each latent from what it has at several time steps, `[timestep][latent]`. Activations of different time
    /// steps have different units, so each counts by its place between the least and the most: Σ (a − min) / (max − min).
    package static func combined(_ activations: [[Double]]) -> [Double] {
        activations.reduce(into: [Double](repeating: 0, count: activations[0].count)) { sums, values in
            guard let least = values.min(), let most = values.max(), most > least else { return }
            for (index, value) in values.enumerated() { sums[index] += (value - least) / (most - least) }
        }
    }
}

extension Dreamer {
    /// The time steps of a dream at `timestep`.
    package func spread(_ timestep: Int, _ deviation: Int) -> TimestepSpread {
        TimestepSpread(timestep: timestep, deviation: deviation, count: schedule.trainTimesteps)
    }
}
