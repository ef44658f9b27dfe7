import Files
import StableDiffusion

/// How a latent is optimized: every parameter, with the defaults of the paper's code.
public struct DreamSettings: Sendable, Equatable {
    /// Named sets of parameters.
    public enum Preset: String, Sendable, CaseIterable {
        /// The paper's for a layer's own channels.
        case raw
        /// The paper's for SAE features.
        case sae
        /// Beyond the paper: farther reach (docs/sweep.md has the measurements).
        case tuned
        /// Pictures in which the feature is recognized: from pictures that the model draws by itself, gently raised and
        /// drawn again (docs/dreams.md).
        case clear
    }

    /// Updates.
    public var steps = 100
    /// Adam's step size.
    public var learningRate = 0.05
    /// The penalties that keep a latent near those that the model knows.
    public var penalties = Penalties(totalVariation: 0.5, range: 0.5)
    /// Smoothing of the gradient, from the first step to the last; none where ≤ 0.
    public var sigmaStart = 0.5
    /// The smoothing's deviation at the last step, in places of the latent.
    public var sigmaEnd = 0.0
    /// Whether high frequencies of the gradient are damped.
    public var spectralFilter = true
    /// Largest roll either way, in places of the latent.
    public var jitter = 1
    /// Largest rotation either way, in degrees.
    public var rotate = 5.0
    /// Largest enlargement.
    public var scale = 1.1
    /// Whether the schedule's noise of the time step is added to the latent.
    public var scheduleNoise = true
    /// Draws of noise and augmentation whose gradients are averaged in a step; each costs a pass.
    public var noiseDraws = 1
    /// How far around the dream's time step the layer is looked at, as a standard deviation: every step has a time step of its
    /// own. What excites a feature at one time step alone is seldom what it stands for (docs/sweep.md). 0: at one only.
    public var timestepSpread = 0
    /// The function applied to activations before they are averaged.
    public var rectifier = Rectifier.relu
    /// Where in the layer's map the objective looks. A `DreamExperiment` gives its objectives the `Pooling` of this on
    /// the layer's map; a `DreamRun` by itself knows no map and takes objectives as they are.
    public var `where` = Where.mean
    /// Whether a batch's latents share penalties and augmentations or are on their own.
    public var coupling = Coupling.coupled
    /// Weight of the similarity among the results of a batch, which is minimized.
    public var diversity = 0.0
    /// How often latents are noised and drawn again by the model, evenly over the steps, the last time at their end; at most
    /// once after each step.
    public var redraws = 0
    /// The time step that latents are noised to in the first round, before they are drawn again.
    public var redrawStart = 300
    /// The same in the last round; between them it changes evenly.
    public var redrawEnd = 300
    /// U-Net calls of drawing again.
    public var redrawSteps = 5
    /// How many are drawn in a round, each from noise of its own; the one that excites the objective most goes on.
    public var redrawDraws = 4

    /// The paper's presets are for channels or for features; the others for either.
    public init(_ preset: Preset = .raw) {
        if preset == .raw { return }
        penalties = Penalties(range: 0.5, moment: preset == .sae ? 0.5 : 0.05)
        sigmaStart = 0
        if preset == .sae { return }
        rectifier = .leaky
        coupling = .independent
        (jitter, rotate, scale) = Self.robustnessLevels[0]
        if preset == .tuned { return }
        penalties.moment = 0
        (steps, learningRate, redraws, timestepSpread) = (75, 0.02, 3, 200)
    }

    /// The paper's settings for channels or features.
    public static func paper(for space: Space) -> DreamSettings {
        DreamSettings(space == .channels ? .raw : .sae)
    }

    /// The seeds of the paper's code.
    public static let seeds: [UInt64] = [1024, 1111, 4359, 3248, 1026]

    /// AdamW's λ, torch's default.
    public static let weightDecay = 0.01

    /// Robustness presets: jitter, degrees, enlargement. Level 1 is the paper's.
    public static let robustnessLevels: [(jitter: Int, rotate: Double, scale: Double)] = [
        (0, 0, 1), (1, 5, 1.1), (8, 15, 1.2), (16, 45, 1.8),
    ]

    /// The round that ends after so many steps, from 0; nil while one goes on.
    package func redraw(after steps: Int) -> Int? {
        let done = steps * rounds / self.steps
        return done > (steps - 1) * rounds / self.steps ? done - 1 : nil
    }

    /// - Throws: `SimpleFailure(.usage)` for time steps of redrawing that the schedule does not have.
    package func checkRedraws(_ schedule: NoiseSchedule) throws {
        if redraws == 0 { return }
        for timestep in [redrawStart, redrawEnd] { try schedule.check(timestep: Double(timestep)) }
    }

    /// The time step of a round's noise.
    package func redrawTimestep(_ round: Int) -> Int {
        rounds > 1 ? redrawStart + (redrawEnd - redrawStart) * round / (rounds - 1) : redrawEnd
    }

    private var rounds: Int { min(redraws, steps) }

    /// - Throws: `SimpleFailure(.usage)` for a level that there is none of.
    public mutating func setRobustness(_ level: Int) throws {
        guard Self.robustnessLevels.indices.contains(level) else {
            throw SimpleFailure(.usage, "robustness level \(level): expected 0 to \(Self.robustnessLevels.count - 1)")
        }
        (jitter, rotate, scale) = Self.robustnessLevels[level]
    }
}
