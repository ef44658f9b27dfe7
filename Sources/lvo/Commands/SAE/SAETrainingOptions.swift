import ArgumentParser
import Experiments
import Optimizers
import SparseAutoencoders

extension LearningRateSchedule: ExpressibleByArgument {}

/// The architecture of an autoencoder and its training; defaults are the library's.
struct SAETrainingOptions: ParsableArguments {
    @Option(help: "Which activations are kept.")
    var kind = AutoencoderSettings().rule

    @Option(help: "Features per channel, unless --latents says how many.")
    var expansion = AutoencoderSettings().expansion

    @Option(help: "Features.")
    var latents: Int?

    @Option(
        help: """
            Active features per token (per sample for sample_topk), for kinds that count them. \
            Default: \(AutoencoderSettings().k).
            """)
    var k: Int?

    @Flag(help: "Also reconstruct with 4k features.")
    var multiTopk = false

    @Flag(help: "Bring every token to mean 0 and deviation 1 first.")
    var inputUnitNorm = false

    @Option(parsing: .upToNextOption, help: "Matryoshka: the first so many features reconstruct alone; ascending.")
    var prefixes: [Int] = []

    @Option(help: "Tokens of a batch.")
    var batch = TrainingOptions().batchTokens

    @Option(help: "Updates.")
    var steps: Int

    @Option(help: "Learning rate. Default: 2e-4 / √(features / 16384).")
    var lr: Double?

    @Option(help: "Schedule of the learning rate.")
    var schedule = TrainingOptions().schedule

    @Option(help: "Updates over which the learning rate rises.")
    var warmUp = TrainingOptions().warmUp

    @Option(help: "Weight of AuxK; 0 turns it off.")
    var auxkAlpha = TrainingOptions().loss.auxkAlpha

    @Option(help: "Weight of the L1 penalty (relu). Default: \(TrainingOptions().loss.l1Coefficient).")
    var l1: Float?

    @Option(help: "Weight of the L0 penalty (jumprelu). Default: \(TrainingOptions().loss.l0Coefficient).")
    var l0: Float?

    @Option(help: "Window around the thresholds (jumprelu). Default: \(TrainingOptions().loss.bandwidth).")
    var bandwidth: Float?

    @Option(help: "Bound on the gradient's norm.")
    var clip = TrainingOptions().maxGradientNorm

    @Option(help: "Tokens after which a feature that was not selected is dead.")
    var deadAfter = TrainingOptions().deadAfterTokens

    @Option(help: "Updates between new starts for dead latents; 0: never.")
    var resampleEvery = TrainingOptions().resampleEvery

    @Option(
        parsing: .unconditional,
        help: "Seed of the weights, the order of tokens and everything else that is random; -1 draws one.")
    var seed = SeedArgument(0)

    func validate() throws {
        for (name, value) in [("expansion", expansion), ("k", k ?? 1), ("batch", batch), ("steps", steps)]
        where value < 1 { throw ValidationError("--\(name) \(value): expected at least 1") }
        if let latents, latents < 1 { throw ValidationError("--latents \(latents): expected at least 1") }
        if let lr, !(lr > 0) { throw ValidationError("--lr \(lr): expected more than 0") }
        if !(clip > 0) { throw ValidationError("--clip \(clip): expected more than 0") }
        for (name, value) in [("auxk-alpha", auxkAlpha), ("l1", l1 ?? 0), ("l0", l0 ?? 0)] where !(value >= 0) {
            throw ValidationError("--\(name) \(value): expected at least 0")
        }
        if let bandwidth, !(bandwidth > 0) { throw ValidationError("--bandwidth \(bandwidth): expected more than 0") }
        for (name, value) in [("warm-up", warmUp), ("dead-after", deadAfter), ("resample-every", resampleEvery)]
        where value < 0 { throw ValidationError("--\(name) \(value): expected at least 0") }
        try refuseUnused()
    }

    /// Options that mean nothing for the chosen kind are mistakes.
    private func refuseUnused() throws {
        let unused: [(name: String, given: Bool, kinds: [SelectionRule])] = [
            ("k", k != nil, SelectionRule.allCases.filter(\.countsK)), ("l1", l1 != nil, [.relu]),
            ("l0", l0 != nil, [.jumpReLU]), ("bandwidth", bandwidth != nil, [.jumpReLU]),
        ]
        for option in unused where option.given && !option.kinds.contains(kind) {
            let kinds = option.kinds.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--\(option.name) is for --kind \(kinds), not \(kind.rawValue)")
        }
        if latents != nil, expansion != AutoencoderSettings().expansion {
            throw ValidationError("--latents and --expansion exclude each other")
        }
    }

    var settings: AutoencoderSettings {
        var settings = AutoencoderSettings()
        (settings.rule, settings.expansion, settings.latents) = (kind, expansion, latents)
        (settings.k, settings.multiTopK, settings.inputUnitNorm) = (k ?? settings.k, multiTopk, inputUnitNorm)
        (settings.prefixes, settings.training) = (prefixes, training)
        return settings
    }

    private var training: TrainingOptions {
        var options = TrainingOptions()
        (options.batchTokens, options.steps, options.learningRate) = (batch, steps, lr)
        (options.schedule, options.warmUp, options.maxGradientNorm) = (schedule, warmUp, clip)
        options.loss.auxkAlpha = auxkAlpha
        options.loss.l1Coefficient = l1 ?? options.loss.l1Coefficient
        options.loss.l0Coefficient = l0 ?? options.loss.l0Coefficient
        options.loss.bandwidth = bandwidth ?? options.loss.bandwidth
        (options.deadAfterTokens, options.resampleEvery, options.seed) = (deadAfter, resampleEvery, seed.number)
        return options
    }
}
