import Checkpoints
import Files
import Ops
import Tensors

/// Trains one sparse autoencoder, a batch at a time. Everything that the next step depends on is in the autoencoder,
/// the optimizer's moments, `sinceFired` and the step count; random draws are functions of the seed and the step.
public final class SAETrainer {
    /// What is trained.
    public let autoencoder: SparseAutoencoder
    /// How.
    public let options: TrainingOptions
    /// Updates done.
    public private(set) var step = 0
    /// Tokens gone by since each feature was last selected.
    public private(set) var sinceFired: [Int]
    private let optimizer: SAEAdam
    private let gradients: SAEGradients
    private let engine: Engine

    /// Starts from `autoencoder`, whose weights change from now on.
    public init(_ autoencoder: SparseAutoencoder, options: TrainingOptions, engine: Engine) {
        self.autoencoder = autoencoder
        self.options = options
        self.engine = engine
        sinceFired = [Int](repeating: 0, count: autoencoder.numLatents)
        optimizer = SAEAdam(for: autoencoder, engine: engine)
        gradients = SAEGradients(for: autoencoder)
    }

    /// Whether all updates are done.
    public var isFinished: Bool { step >= options.steps }

    /// The present dead latents.
    public var dead: [Bool] { sinceFired.map { $0 > options.deadAfterTokens } }

    /// One update on `batch [n, D]`, samples of `positions` tokens.
    ///
    /// - Throws: `TrainingDivergence` if loss or gradient is not finite; the weights are then as they were.
    public func train(_ batch: Tensor, positions: Int) throws -> TrainingMetrics {
        if autoencoder.configuration.normalizeDecoder { autoencoder.normalizeDecoder(engine: engine) }
        let dead = dead
        let report = SparseLoss(autoencoder, options: options.loss, engine: engine)
            .evaluate(batch, positions: positions, dead: dead, gradients: gradients)
        let norm = gradients.norm(engine: engine)
        guard report.loss.isFinite, norm.isFinite else {
            throw TrainingDivergence(
                step: step + 1, loss: report.loss, gradientNorm: norm,
                learningRate: options.learningRate(for: autoencoder.configuration),
                isBatchDamaged: (0..<batch.count).contains { !batch.pointer[$0].isFinite })
        }
        let rate =
            options.learningRate(for: autoencoder.configuration)
            * options.schedule.factor(step: step, of: options.steps, warmUp: options.warmUp)
        step += 1
        optimizer.update(
            autoencoder, gradients, norm: norm, step: step, learningRate: rate, maxNorm: options.maxGradientNorm)
        for feature in sinceFired.indices {
            sinceFired[feature] = report.fired[feature] ? 0 : sinceFired[feature] + batch.rows
        }
        if options.resampleEvery > 0 && step % options.resampleEvery == 0 { resample(batch) }
        return TrainingMetrics(
            step: step, tokens: step * options.batchTokens, report: report, learningRate: rate, gradientNorm: norm,
            numLatents: autoencoder.numLatents)
    }

    private func resample(_ batch: Tensor) {
        let dead = dead
        guard dead.contains(true) else { return }
        let random = CounterRandom(seed: options.seed, purpose: .selection, step: UInt64(step))
        autoencoder.resample(dead, from: batch, optimizer: optimizer, random: random, engine: engine)
        for feature in sinceFired.indices where dead[feature] { sinceFired[feature] = 0 }
    }

    /// All of the state, as named tensors.
    var state: [Weight] {
        let parameters = autoencoder.parameters
        var weights = parameters.map { Weight(name: $0.name, tensor: $0.tensor) }
        for (index, parameter) in parameters.enumerated() {
            weights.append(Weight(name: "adam.mean.\(parameter.name)", tensor: optimizer.means[index]))
            weights.append(Weight(name: "adam.square.\(parameter.name)", tensor: optimizer.squares[index]))
        }
        return weights + [Weight(name: "since_fired", shape: [sinceFired.count], integers: sinceFired)]
    }

    /// Takes over what `state` gave.
    func restore(_ store: WeightStore, step: Int) throws {
        self.step = step
        for (index, parameter) in autoencoder.parameters.enumerated() {
            let shape = parameter.tensor.shape
            try store.take(parameter.name, shape: shape).copyFloats(into: parameter.tensor.pointer)
            try store.take("adam.mean.\(parameter.name)", shape: shape)
                .copyFloats(into: optimizer.means[index].pointer)
            try store.take("adam.square.\(parameter.name)", shape: shape)
                .copyFloats(into: optimizer.squares[index].pointer)
        }
        let counts = try store.take("since_fired", shape: [sinceFired.count])
        guard let integers = counts.integers(), integers.allSatisfy({ (0...1 << 60).contains($0) }) else {
            throw FileFailure.malformed(
                file: store.file, reason: "tensor since_fired: expected I64 counts of tokens, found \(counts.dtype.rawValue)")
        }
        sinceFired = integers
    }
}
