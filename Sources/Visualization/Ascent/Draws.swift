import Tensors

/// The random draws of one step.
public struct StepDraws: Sendable {
    /// One per group of latents (`Coupling.groups`).
    public let augmentations: [Augmentation]
    /// Standard normal, in the latents' shape; nil if the schedule's noise is off.
    public let noise: Tensor?

    /// - Parameters:
    ///   - augmentations: one per group of latents.
    ///   - noise: in the latents' shape; nil for none.
    public init(augmentations: [Augmentation], noise: Tensor?) {
        self.augmentations = augmentations
        self.noise = noise
    }
}

/// Where a run's randomness comes from: the draws of step `step` for latents of shape `[B, 4, H, W]`.
public typealias DrawSource = @Sendable (_ step: Int, _ shape: [Int]) -> StepDraws

extension DreamSettings {
    /// Draws that are functions of (seed, purpose, unit, step, index) alone: a latent's noise is that of its own seed,
    /// so it does not depend on what runs beside it. An augmentation is drawn from its group's first seed.
    ///
    /// - Parameters:
    ///   - seeds: one per latent.
    ///   - units: one per latent: what the latent is optimized for, as a number, so that different features do not
    ///     see the same noise.
    public func draws(seeds: [UInt64], units: [UInt64]) -> DrawSource {
        precondition(seeds.count == units.count, "\(seeds.count) seeds for \(units.count) units")
        let settings = self
        return { step, shape in
            precondition(shape[0] == seeds.count, "\(seeds.count) seeds for latents \(shape)")
            func stream(_ purpose: RandomPurpose, _ latent: Int) -> CounterRandom {
                CounterRandom(seed: seeds[latent], purpose: purpose, unit: units[latent], step: UInt64(step))
            }
            let groups = settings.coupling == .coupled ? 1 : shape[0]
            let augmentations = (0..<groups).map { group in
                settings.augmentation { stream($0, group) }
            }
            guard settings.scheduleNoise else { return StepDraws(augmentations: augmentations, noise: nil) }
            let noise = Tensor(shape)
            let size = noise.count / shape[0]
            for latent in 0..<shape[0] {
                stream(.noise, latent).fillNormal(noise.pointer + latent * size, count: size)
            }
            return StepDraws(augmentations: augmentations, noise: noise)
        }
    }

    private func augmentation(_ stream: (RandomPurpose) -> CounterRandom) -> Augmentation {
        var augmentation = Augmentation.identity
        if jitter > 0 {
            augmentation.rollY = stream(.jitter).integer(0, in: -jitter...jitter)
            augmentation.rollX = stream(.jitter).integer(1, in: -jitter...jitter)
        }
        if rotate > 0 || scale != 1 {
            augmentation.warps = true
            augmentation.angle = Double(stream(.rotation).uniform(0, in: Float(-rotate)...Float(rotate)))
            augmentation.scale = Double(stream(.scale).uniform(0, in: 1...Float(scale)))
        }
        return augmentation
    }
}
