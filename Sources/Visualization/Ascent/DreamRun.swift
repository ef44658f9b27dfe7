import Optimizers
import Tensors

/// The observations of one step. Activations, penalties and losses are those before the step's update.
public struct DreamStep: Sendable {
    /// Steps done before this one.
    public let index: Int
    /// Per latent.
    public let activations: [Double]
    /// Per latent: whether the objective's gradient is 0 everywhere, so that only penalties move it.
    public let isFlat: [Bool]
    /// Per group of latents.
    public let penalties: [PenaltyValues]
    /// Per group: the loss that the step lowers, −a plus penalties.
    public let losses: [Double]
    /// The weighted similarity among the batch's results; 0 if that is off.
    public let diversity: Double
    /// Per group: whether it diverged, now or earlier. Its latents keep their last finite values.
    public let diverged: [Bool]
}

/// The latents of a run, drawn again by the model at the end of round `round`, from 0.
public typealias Redraw = (_ latents: Tensor, _ round: Int) -> Tensor

/// Gradient ascent of a batch of latents, one step at a time, in the order of the paper's method.
///
/// A run is a value: its next state depends on nothing but itself, and an `independent` run's latents do not
/// depend on each other. The U-Net's work is the same for every objective, so latents of different objectives
/// may share a batch.
public struct DreamRun {
    /// `[B, 4, H, W]`: finite always.
    public private(set) var latent: Tensor
    /// Steps done.
    public private(set) var stepsDone = 0
    /// Per group: the step at which it diverged; nil while all numbers are finite.
    public private(set) var divergedAt: [Int?]
    /// How the latents are optimized.
    public let settings: DreamSettings
    private let loss: DreamLoss
    private let views: ((_ draw: Int) -> DreamView)?
    private let draws: DrawSource
    private let filter: SpectralFilter?
    private let redraw: Redraw?
    private var optimizer: Adam
    /// The latent before the last update, to return to if it diverged.
    private var previous: Tensor

    /// - Parameters:
    ///   - start: `[B, 4, H, W]`.
    ///   - objectives: one for all latents, or one each.
    ///   - shares: √ᾱ_t and √(1 − ᾱ_t) of the layer's time step.
    ///   - views: the layer at another time step for each draw; nil: `layer` for all.
    ///   - redraw: draws latents again; needed where the settings ask for it.
    /// - Precondition: the objectives can be read from the layer (`Objective.check`); `settings.noiseDraws` ≥
    ///   1.
    public init(
        start: Tensor, objectives: [Objective], layer: any DreamLayer, shares: (signal: Float, noise: Float),
        settings: DreamSettings, draws: @escaping DrawSource, views: ((_ draw: Int) -> DreamView)? = nil,
        redraw: Redraw? = nil
    ) {
        let batch = start.shape[0]
        precondition(objectives.count == 1 || objectives.count == batch, "\(objectives.count) objectives for \(batch)")
        precondition(settings.noiseDraws >= 1, "\(settings.noiseDraws) noise draws in a step")
        precondition(settings.redraws == 0 || redraw != nil, "drawing again needs a whole U-Net")
        latent = start
        previous = start
        self.settings = settings
        self.draws = draws
        self.views = views
        self.redraw = redraw
        let each = objectives.count == batch ? objectives : Array(repeating: objectives[0], count: batch)
        loss = DreamLoss(layer: layer, objectives: each, settings: settings, shares: shares)
        filter = settings.spectralFilter ? SpectralFilter(height: start.shape[2], width: start.shape[3]) : nil
        optimizer = Self.optimizer(start)
        divergedAt = Array(repeating: nil, count: settings.coupling.groups(start).count)
    }

    /// Whether there is nothing left to do: all steps done, or every latent diverged.
    public var isFinished: Bool { stepsDone >= settings.steps || divergedAt.allSatisfy { $0 != nil } }

    /// The next step; nil when the run is finished.
    public mutating func next() -> DreamStep? {
        if isFinished { return nil }
        let step = stepsDone
        let found = lossGradient()
        noteDivergence(found, step: step)
        let gradient = transformed(found.gradient, step: step)
        let updated = latent.copy()
        optimizer.update(updated, gradient: gradient, learningRate: settings.learningRate)
        previous = latent
        latent = kept(updated, over: latent)
        stepsDone += 1
        drawAgain()
        return DreamStep(
            index: step, activations: found.activations, isFlat: found.isFlat, penalties: found.penalties,
            losses: found.losses, diversity: found.diversity, diverged: divergedAt.map { $0 != nil })
    }

    /// The loss and its gradient at the present latent, averaged over the draws of the next step. Draw d of
    /// step k is numbered k + d·2³², so that a first draw is the same however many follow.
    public func lossGradient() -> LossGradient {
        LossGradient.mean((0..<settings.noiseDraws).map { lossGradient(draw: stepsDone + $0 << 32) })
    }

    private func lossGradient(draw: Int) -> LossGradient {
        let draws = draws(draw, latent.shape)
        guard let views else { return loss.evaluate(latent, draws: draws) }
        return loss.seen(by: views(draw)).evaluate(latent, draws: draws)
    }

    /// Everything that changes from step to step, by name: the state from which an equal run continues.
    public var state: [(name: String, tensor: Tensor)] {
        let moments = optimizer.moments
        let numbers = [stepsDone, optimizer.updates] + divergedAt.map { $0 ?? -1 }
        return [
            ("latent", latent), ("previous", previous), ("first_moments", Tensor(latent.shape, moments.first)),
            ("second_moments", Tensor(latent.shape, moments.second)),
            ("numbers", Tensor([numbers.count], numbers.map { Float($0) })),
        ]
    }

    /// Continues from another run's `state`. False, with nothing changed, if this is not one.
    public mutating func restore(_ state: [String: Tensor]) -> Bool {
        guard let latent = state["latent"], let previous = state["previous"], let first = state["first_moments"],
            let second = state["second_moments"], let numbers = state["numbers"]?.array,
            [latent, previous, first, second].allSatisfy({ $0.shape == self.latent.shape }),
            numbers.count == 2 + divergedAt.count
        else { return false }
        (self.latent, self.previous, stepsDone) = (latent, previous, Int(numbers[0]))
        optimizer.restore(updates: Int(numbers[1]), moments: (first.array, second.array))
        divergedAt = numbers[2...].map { $0 < 0 ? nil : Int($0) }
        return true
    }

    /// Marks groups with NaN or infinity as diverged, and takes back their last update, which led there.
    private mutating func noteDivergence(_ found: LossGradient, step: Int) {
        let parts = settings.coupling.groups(found.gradient)
        for group in divergedAt.indices where divergedAt[group] == nil {
            if found.losses[group].isFinite && parts[group].isFinite { continue }
            divergedAt[group] = step
            let before = settings.coupling.groups(previous)[group]
            latent = settings.coupling.map(latent) { $0 == group ? before : $1 }
        }
    }

    /// Filter and smoothing, in the paper's order.
    private func transformed(_ gradient: Tensor, step: Int) -> Tensor {
        let sigma = GaussianSmoothing.sigma(
            step: step, of: settings.steps, from: settings.sigmaStart, to: settings.sigmaEnd)
        return settings.coupling.map(gradient) { _, part in
            let filtered = filter?(part) ?? part
            return sigma > 0 ? GaussianSmoothing.apply(filtered, sigma: sigma) : filtered
        }
    }

    private static func optimizer(_ latent: Tensor) -> Adam {
        Adam(count: latent.count, weightDecay: DreamSettings.weightDecay)
    }

    /// After a round of steps: the model draws the latents again, and the next round's optimizer begins anew, for what it
    /// remembers is of latents that are no more.
    private mutating func drawAgain() {
        guard let redraw, let round = settings.redraw(after: stepsDone) else { return }
        previous = latent
        latent = kept(redraw(latent, round), over: latent)
        optimizer = Self.optimizer(latent)
    }

    /// `updated`, but for groups that diverged, now or earlier.
    private mutating func kept(_ updated: Tensor, over old: Tensor) -> Tensor {
        let coupling = settings.coupling
        for (group, part) in coupling.groups(updated).enumerated() where divergedAt[group] == nil && !part.isFinite {
            divergedAt[group] = stepsDone
        }
        if divergedAt.allSatisfy({ $0 == nil }) { return updated }
        return coupling.map(updated) { divergedAt[$0] == nil ? $1 : coupling.groups(old)[$0] }
    }
}
