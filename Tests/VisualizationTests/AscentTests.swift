import Files
import Tensors
import Testing

import Visualization

@Suite struct AscentTests {
    let layer: LinearLayer
    let start = randomTensor([3, 4, 8, 6], seed: 4)
    let seeds: [UInt64] = [1, 2, 3]

    init() throws { layer = try LinearLayer(channels: 5) }

    func run(
        _ settings: DreamSettings, latents: [Int] = [0, 1, 2], objectives: [Objective] = [.channel(2)],
        firstStep: Int = 0
    ) -> DreamRun {
        let parts = latents.flatMap { start.slice($0..<$0 + 1).array }
        let units = latents.map { _ in UInt64(7) }
        let draws = settings.draws(seeds: latents.map { seeds[$0] }, units: units)
        return DreamRun(
            start: Tensor([latents.count, 4, 8, 6], parts), objectives: objectives, layer: layer, shares: (0.9, 0.4359),
            settings: settings, draws: { draws($0 + firstStep, $1) })
    }

    func finish(_ run: DreamRun) -> (latent: Tensor, steps: [DreamStep]) {
        var (run, steps) = (run, [DreamStep]())
        while let step = run.next() { steps.append(step) }
        return (run.latent, steps)
    }

    @Test(arguments: [DreamSettings.Preset.raw, .sae]) func theObjectiveRises(_ preset: DreamSettings.Preset) {
        var settings = DreamSettings(preset)
        settings.steps = 30
        let result = finish(run(settings))
        #expect(result.steps.count == 30)
        #expect(result.steps.map(\.index) == Array(0..<30))
        for latent in 0..<3 {
            #expect(result.steps[29].activations[latent] > result.steps[0].activations[latent] + 0.5)
        }
    }

    @Test func aNegativeWeightGoesDown() {
        var settings = DreamSettings(.raw)
        settings.steps = 20
        let result = finish(run(settings, objectives: [Objective([.init(.channel(2), weight: -1)])]))
        let before = Objective.channel(2).value(part(start), rectifier: .none, engine: layer.engine)
        let after = Objective.channel(2).value(part(result.latent), rectifier: .none, engine: layer.engine)
        #expect(after < before - 0.5)
    }

    private func part(_ latent: Tensor) -> Tensor { layer.activation(latent).slice(0..<1).reshaped([48, 5]) }

    /// An independent result has the same bytes alone, in company, and in another order.
    @Test func independentResultsStandAlone() {
        var settings = DreamSettings(.sae)
        settings.steps = 5
        settings.coupling = .independent
        let together = finish(run(settings)).latent
        let shuffled = finish(run(settings, latents: [2, 0])).latent
        let alone = finish(run(settings, latents: [2])).latent
        #expect(bits(alone) == bits(together.slice(2..<3)))
        #expect(bits(alone) == bits(shuffled.slice(0..<1)))
        let mixed = finish(run(settings, objectives: [.channel(0), .channel(1), .channel(2)])).latent
        #expect(bits(alone) == bits(mixed.slice(2..<3)))
        settings.coupling = .coupled
        #expect(bits(finish(run(settings)).latent.slice(2..<3)) != bits(alone))
    }

    /// A batch of one has one group either way; only the name of the mode differs.
    @Test func aBatchOfOneIsTheSameCoupledOrNot() {
        var settings = DreamSettings(.raw)
        settings.steps = 4
        let coupled = finish(run(settings, latents: [1])).latent
        settings.coupling = .independent
        #expect(bits(finish(run(settings, latents: [1])).latent) == bits(coupled))
    }

    @Test func repeatsBitForBit() {
        var settings = DreamSettings(.raw)
        settings.steps = 5
        #expect(bits(finish(run(settings)).latent) == bits(finish(run(settings)).latent))
    }

    @Test func diversityMakesResultsLessAlike() {
        var settings = DreamSettings(.raw)
        settings.steps = 30
        let plain = finish(run(settings)).latent
        settings.diversity = 20
        let result = finish(run(settings))
        func likeness(_ latent: Tensor) -> Double {
            Diversity.evaluate(layer.activation(latent), weight: 1, engine: layer.engine).value
        }
        #expect(likeness(result.latent) < likeness(plain) - 0.02)
        #expect(result.steps[0].diversity > 0)
    }

    /// What is not finite stops the latent it concerns, at the last good state; the others go on.
    @Test func divergenceKeepsTheLastGoodLatent() {
        var settings = DreamSettings(.raw)
        settings.steps = 4
        settings.coupling = .independent
        settings.scheduleNoise = false
        let good = finish(run(settings)).latent
        let poisoned: DrawSource = { [draws = settings.draws(seeds: seeds, units: [7, 7, 7])] step, shape in
            let plain = draws(step, shape)
            guard step == 2 else { return plain }
            let noise = Tensor.zeros(shape)
            noise.pointer[0] = .nan
            return StepDraws(augmentations: plain.augmentations, noise: noise)
        }
        var poisonedRun = DreamRun(
            start: start, objectives: [.channel(2)], layer: layer, shares: (1, 1), settings: settings, draws: poisoned)
        var last: DreamStep?
        while let step = poisonedRun.next() { last = step }
        #expect(poisonedRun.divergedAt == [2, nil, nil])
        #expect(last?.diverged == [true, false, false])
        #expect(poisonedRun.latent.isFinite)
        settings.steps = 4
        var firstStepOnly = run(settings)
        _ = firstStepOnly.next()
        #expect(bits(poisonedRun.latent.slice(0..<1)) == bits(firstStepOnly.latent.slice(0..<1)))
        #expect(bits(poisonedRun.latent.slice(1..<3)) == bits(good.slice(1..<3)))
    }

    /// Stopped anywhere and continued from its state, a run ends in the same bytes.
    @Test(arguments: [0, 1, 7]) func aRunContinuesFromItsState(after: Int) throws {
        var settings = DreamSettings(.sae)
        settings.steps = 12
        let whole = finish(run(settings)).latent
        var first = run(settings)
        for _ in 0..<after { _ = first.next() }
        var second = run(settings)
        let state = Dictionary(uniqueKeysWithValues: first.state.map { ($0.name, $0.tensor.copy()) })
        #expect(second.restore(state) && second.stepsDone == after)
        let rest = finish(second)
        #expect(rest.steps.map(\.index) == Array(after..<12))
        #expect(bits(rest.latent) == bits(whole))
        #expect(!second.restore(["latent": whole]) && second.stepsDone == after)
    }

    /// Draws that follow do not change the first, and their mean is less noisy.
    @Test func averagedDraws() throws {
        var settings = DreamSettings(.sae)
        let one = run(settings).lossGradient()
        settings.noiseDraws = 4
        let four = run(settings).lossGradient()
        #expect(one.penalties.map(\.sum) == four.penalties.map(\.sum))
        let draws = (0..<4).map { draw in
            settings.noiseDraws = 1
            return run(settings, firstStep: draw << 32).lossGradient()
        }
        #expect(bits(draws[0].gradient) == bits(one.gradient))
        for i in 0..<four.gradient.count {
            let mean = draws.reduce(Float(0)) { $0 + $1.gradient.pointer[i] / 4 }
            #expect(abs(mean - four.gradient.pointer[i]) < 1e-6)
        }
    }

    /// The table of the method: what the paper's code uses.
    @Test func presetsAreThePapers() {
        let (raw, sae) = (DreamSettings(.raw), DreamSettings(.sae))
        #expect(raw.penalties == Penalties(totalVariation: 0.5, range: 0.5, rangeThreshold: 3, moment: 0))
        #expect(sae.penalties == Penalties(totalVariation: 0, range: 0.5, rangeThreshold: 3, moment: 0.5))
        #expect((raw.sigmaStart, raw.sigmaEnd, sae.sigmaStart, sae.sigmaEnd) == (0.5, 0, 0, 0))
        for settings in [raw, sae] {
            #expect(settings.steps == 100 && settings.learningRate == 0.05 && settings.spectralFilter)
            #expect(settings.jitter == 1 && settings.rotate == 5 && settings.scale == 1.1 && settings.scheduleNoise)
            #expect(settings.rectifier == .relu && settings.coupling == .coupled && settings.diversity == 0)
        }
    }

    @Test func tunedGoesBeyondThePaper() {
        let tuned = DreamSettings(.tuned)
        #expect(tuned.rectifier == .leaky && tuned.coupling == .independent && tuned.steps == 100)
        #expect((tuned.jitter, tuned.rotate, tuned.scale) == (0, 0, 1))
        #expect(tuned.penalties == Penalties(range: 0.5, moment: 0.05))
    }

    /// Draws stay in their ranges, differ from step to step, and are a function of the seed.
    @Test func draws() {
        var settings = DreamSettings(.raw)
        settings.jitter = 2
        let source = settings.draws(seeds: [5, 6], units: [0, 0])
        let steps = (0..<200).map { source($0, [2, 4, 3, 3]) }
        let rolls = Set(steps.map { $0.augmentations[0].rollY })
        #expect(rolls == [-2, -1, 0, 1, 2])
        #expect(steps.allSatisfy { abs($0.augmentations[0].angle) <= 5 })
        #expect(steps.allSatisfy { (1...1.1).contains(Float($0.augmentations[0].scale)) })
        #expect(Set(steps.map { $0.augmentations[0].angle }).count > 150)
        #expect(steps.allSatisfy { $0.augmentations.count == 1 })
        let again = settings.draws(seeds: [6], units: [0])(3, [1, 4, 3, 3])
        #expect(bits(again.noise!) == bits(steps[3].noise!.slice(1..<2)))
    }
}
