import Ops
import Tensors

/// One batch on its way through the loss: what the encoder sees, what is selected, and sums per token.
final class LossBatch: @unchecked Sendable {
    private let autoencoder: SparseAutoencoder
    private let options: LossOptions
    private let engine: Engine
    private let passes: PassTimes?
    /// What is reconstructed: the tokens, normalised if the configuration says so.
    let target: Tensor
    let centered: Tensor
    private let positions: Int
    private let dead: [Bool]
    private let deadCount: Int
    private let variance: BatchVariance
    private let panels: EncoderPanels
    /// Per token: squared errors by level, of the auxiliary and of the 4k reconstruction, and the penalty.
    private var errors: [Scratch<Float>]
    private let auxErrors: Scratch<Float>
    private let multiErrors: Scratch<Float>
    private let penalties: Scratch<Float>
    private var positives = 0
    private var nonzero = 0
    private var fired: [Bool]

    private var configuration: SAEConfiguration { autoencoder.configuration }
    private var tokens: Int { target.rows }

    init(
        _ autoencoder: SparseAutoencoder, _ options: LossOptions, _ x: Tensor, positions: Int, dead: [Bool],
        engine: Engine, passes: PassTimes?
    ) {
        (self.autoencoder, self.options, self.engine, self.passes) = (autoencoder, options, engine, passes)
        self.positions = positions
        self.dead = dead
        deadCount = options.auxkAlpha == 0 ? 0 : dead.count { $0 }
        let rows = x.reshaped([x.rows, x.channels])
        (target, centered, variance) = passes.measure("centre tokens", bytes: 20 * Double(x.count)) {
            let target = autoencoder.configuration.inputUnitNorm ? UnitNorm.forward(rows, engine: engine) : rows
            return (target, autoencoder.centered(rows, engine: engine), BatchVariance(target, engine: engine))
        }
        let margin = options.bandwidth / 2
        let gate = autoencoder.threshold.map { threshold in { threshold.pointer[$0] - margin } }
        let marked = deadCount > 0 ? dead : []
        panels = passes.measure("encoder into panels", bytes: 8 * Double(autoencoder.encoderWeight.count)) {
            EncoderPanels(autoencoder, dead: marked, gate: gate, engine: engine)
        }
        func perToken() -> Scratch<Float> { Scratch(rows.rows, repeating: 0, engine) }
        errors = (0...autoencoder.configuration.prefixes.count).map { _ in perToken() }
        (auxErrors, multiErrors, penalties) = (perToken(), perToken(), perToken())
        fired = [Bool](repeating: false, count: autoencoder.numLatents)
    }

    /// Runs of tokens that go through one after the other. A rule that counts k selects from all at once, in bounded
    /// memory; the others may select almost everything, so they take as many tokens as give 8 million entries at most.
    var slices: [Range<Int>] {
        let most = configuration.rule.countsK ? tokens : max(1, (1 << 23) / configuration.numLatents)
        return stride(from: 0, to: tokens, by: most).map { $0..<min(tokens, $0 + most) }
    }

    /// Selects what the reconstructions of these tokens are made of.
    func select(_ slice: Range<Int>) -> [Reconstruction] {
        let multi = configuration.multiTopK
        let k = multi ? 4 * configuration.k : configuration.k
        var requests = [request(k: configuration.rule.countsK ? k : configuration.numLatents)]
        if deadCount > 0 { requests.append(request(k: auxiliaryK, dead: true)) }
        let selection = FusedSelection(autoencoder: autoencoder, panels: panels, engine: engine, passes: passes)
        let (codes, positives) = selection.run(centered.slice(slice), requests)
        self.positives += positives
        var reconstructions: [Reconstruction] = []
        func add(_ role: Reconstruction.Role, _ codes: SparseCodes) {
            let jump = role != .auxiliary && configuration.rule == .jumpReLU
            reconstructions.append(Reconstruction(role, codes, autoencoder: autoencoder, jump: jump, engine: engine))
        }
        if multi {
            let main = request(k: configuration.k)
            add(.main, codes[0].largest(main.keep, tokensPerGroup: main.tokensPerGroup, engine: engine))
            add(.multi, codes[0])
        } else {
            add(.main, codes[0])
        }
        if deadCount > 0 { add(.auxiliary, codes[1]) }
        return reconstructions
    }

    private var auxiliaryK: Int { min(configuration.inputWidth / 2, deadCount) }

    private func request(k: Int, dead: Bool = false) -> SelectionRequest {
        let all = !configuration.rule.countsK
        switch configuration.rule {
        case .topK, .relu, .jumpReLU: return .init(tokensPerGroup: 1, keep: k, deadOnly: dead, positiveOnly: all)
        case .batchTopK: return .init(tokensPerGroup: tokens, keep: k * tokens, deadOnly: dead)
        case .sampleTopK: return .init(tokensPerGroup: positions, keep: k, deadOnly: dead)
        }
    }

    /// Decodes, measures, and leaves the loss's gradients in the reconstructions' buffers and slopes.
    func decode(_ reconstructions: [Reconstruction], _ slice: Range<Int>, gradient: Bool) {
        engine.threads.forRanges(slice.count, grain: 64) { [self] tokens, _ in
            for reconstruction in reconstructions {
                if let threshold = autoencoder.threshold {
                    for token in tokens { reconstruction.applyThreshold(token, threshold) }
                }
                reconstruction.decode(tokens, autoencoder, engine)
            }
            for token in tokens { measure(reconstructions, token, at: slice.lowerBound + token) }
            guard gradient else { return }
            for token in tokens { differentiate(reconstructions, token) }
            for reconstruction in reconstructions { reconstruction.backward(tokens, autoencoder, engine) }
            for token in tokens { addPenaltySlopes(reconstructions[0], token) }
        }
        let published = reconstructions.first { $0.role == .multi } ?? reconstructions[0]
        let countsZeros = configuration.rule.countsK
        for feature in 0..<configuration.numLatents where !published.codes.feature(feature).isEmpty {
            fired[feature] = fired[feature] || countsZeros
                || published.codes.feature(feature).contains {
                    published.codes.values.pointer[Int(published.codes.entries.pointer[$0])] > 0
                }
        }
        nonzero += (0..<published.codes.count).count { published.codes.values.pointer[$0] > 0 }
    }

    /// Errors of all reconstructions of one token, in place of the reconstructions.
    private func measure(_ reconstructions: [Reconstruction], _ token: Int, at index: Int) {
        let (width, combine) = (configuration.inputWidth, engine.kernels.sparse.combine)
        let x = target.pointer + index * width
        var main: UnsafeMutablePointer<Float>?
        for reconstruction in reconstructions {
            for level in reconstruction.levels {
                let row = reconstruction.reconstructionRow(level, token)
                switch reconstruction.role {
                case .main:
                    errors[level].pointer[index] = combine(row, 1, x, -1, width, row)
                    main = row
                case .multi: multiErrors.pointer[index] = combine(row, 1, x, -1, width, row)
                case .auxiliary:
                    if let main { auxErrors.pointer[index] = combine(row, 1, main, -1, width, row) }
                }
            }
        }
        penalties.pointer[index] = penalty(reconstructions[0], token)
    }

    private func penalty(_ main: Reconstruction, _ token: Int) -> Float {
        let entries = main.codes.token(token)
        switch configuration.rule {
        case .relu: return options.l1Coefficient * entries.reduce(0) { $0 + main.codes.values.pointer[$1] }
        case .jumpReLU:
            return options.l0Coefficient * Float(entries.count { main.codes.values.pointer[$0] > 0 })
        default: return 0
        }
    }

    /// From the errors to the gradients by the reconstructions; then suffix sums over nested levels, because an entry
    /// takes part in its own level and in all after it.
    private func differentiate(_ reconstructions: [Reconstruction], _ token: Int) {
        let (width, combine) = (configuration.inputWidth, engine.kernels.sparse.combine)
        let main = reconstructions[0]
        let scale = Float(2 / variance.total)
        let last = main.errorRow(main.levels.count - 1, token)
        for level in main.levels {
            let row = main.errorRow(level, token)
            _ = combine(row, scale / Float(main.levels.count), row, 0, width, row)
        }
        for reconstruction in reconstructions {
            let row = reconstruction.errorRow(0, token)
            if reconstruction.role == .multi { _ = combine(row, scale / 8, row, 0, width, row) }
            if reconstruction.role == .auxiliary {
                let weight = scale * options.auxkAlpha * auxiliaryScale
                _ = combine(last, 1, row, -weight, width, last)
                _ = combine(row, weight, row, 0, width, row)
            }
        }
        for level in main.levels.dropLast().reversed() {
            let row = main.gradientRow(level, token)
            _ = combine(row, 1, main.gradientRow(level + 1, token), 1, width, row)
        }
    }

    private func addPenaltySlopes(_ main: Reconstruction, _ token: Int) {
        if configuration.rule == .relu {
            let slope = options.l1Coefficient / Float(tokens)
            for entry in main.codes.token(token) { main.codes.slopes.pointer[entry] += slope }
        } else if let threshold = autoencoder.threshold {
            main.backwardThreshold(
                token, threshold, width: options.bandwidth, lambda: options.l0Coefficient / Float(tokens))
        }
    }

    private var auxiliaryScale: Float { min(Float(deadCount) / Float(configuration.inputWidth / 2), 1) }

    func report() -> LossReport {
        func sum(_ values: Scratch<Float>) -> Double { (0..<tokens).reduce(0) { $0 + Double(values.pointer[$1]) } }
        let (main, count) = (errors[errors.count - 1], Double(tokens))
        var report = LossReport()
        report.fvu = sum(main) / variance.total
        report.auxk = Double(auxiliaryScale) * sum(auxErrors) / variance.total
        report.multiTopK = sum(multiErrors) / variance.total
        let nested = errors.dropLast().map { sum($0) / variance.total }
        report.nested = nested.isEmpty ? 0 : nested.reduce(0, +) / Double(nested.count)
        report.penalty = sum(penalties) / count
        let fit = (nested.reduce(0, +) + report.fvu) / Double(errors.count)
        report.loss = fit + Double(options.auxkAlpha) * report.auxk + report.multiTopK / 8 + report.penalty
        report.positives = Double(positives) / count
        report.l0 = Double(nonzero) / count
        report.l2 = sum(main) / (count * Double(configuration.inputWidth))
        report.explainedVariance = (0..<tokens).reduce(0) {
            $0 + 1 - Double(main.pointer[$1]) / Double(variance.ofToken.pointer[$1])
        } / count
        report.deadCount = dead.count { $0 }
        report.fired = fired
        return report
    }
}
