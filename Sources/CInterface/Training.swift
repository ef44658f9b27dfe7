import CLVO
import Experiments
import Files
import Ops
import Optimizers
import Parallel
import SparseAutoencoders
import Tensors

/// An autoencoder in training. It begins with the first batch, of which its start is made.
final class OpenTrainer {
    let configuration: SAEConfiguration
    let options: TrainingOptions
    let engine: Engine
    private(set) var trainer: SAETrainer?

    static let keys = [
        "width", "rule", "expansion", "latents", "k", "multi_topk", "input_unit_norm", "prefixes", "steps", "batch_tokens",
        "learning_rate", "schedule", "warm_up", "auxk_alpha", "l1", "l0", "bandwidth", "max_gradient_norm",
        "dead_after_tokens", "resample_every", "seed",
    ] + EngineSettings.keys

    /// - Throws: a `Failure` for settings that have no meaning, or that the machine has no memory for.
    init(_ settings: Settings) throws {
        let width = try settings.needed("width", settings.int("width", in: 1...1 << 20))
        let training = try AutoencoderSettings(settings)
        do {
            configuration = try training.configuration(width: width)
        } catch let failure as SimpleFailure { throw Refusal(failure.description) }
        options = training.training
        try Self.checkMemory(configuration, options)
        engine = try EngineSettings.engine(settings)
    }

    /// Weights, gradients and two moments of each number, and a batch's features and rows.
    private static func checkMemory(_ configuration: SAEConfiguration, _ options: TrainingOptions) throws {
        let numbers = 8 * configuration.numLatents * configuration.inputWidth
        let batch = options.batchTokens * (8 * configuration.inputWidth + 32 * min(configuration.k, configuration.numLatents))
        guard let free = Machine().availableMemory, 4 * (numbers + batch) > free else { return }
        throw Refusal(
            .outOfMemory, "\(configuration.numLatents) features of \(configuration.inputWidth) channels take about "
                + "\(4 * (numbers + batch) >> 20) MB in training, and \(free >> 20) MB are free; choose fewer")
    }

    /// One update.
    ///
    /// - Throws: `TrainingDivergence`.
    func step(_ batch: Tensor, positions: Int) throws -> TrainingMetrics {
        let trainer = self.trainer ?? SAETrainer(
            SparseAutoencoder(configuration: configuration, firstBatch: batch, seed: options.seed, engine: engine),
            options: options, engine: engine)
        self.trainer = trainer
        return try trainer.train(batch, positions: positions)
    }

    var description: JSON {
        var object = options.json.object ?? JSONObject()
        for (key, value) in configuration.json.object ?? JSONObject() { object[key] = value }
        for key in ["d_in", "num_latents", "batch_topk", "sample_topk", "activation"] { object[key] = nil }
        object["width"] = .integer(configuration.inputWidth)
        object["latents"] = .integer(configuration.numLatents)
        object["expansion"] = object["expansion_factor"]
        object["expansion_factor"] = nil
        object["rule"] = .string(configuration.rule.rawValue)
        object["prefixes"] = .array(configuration.prefixes.map { .integer($0) })
        object["learning_rate"] = .number(options.learningRate(for: configuration))
        object["seed"] = .integer(Int(clamping: options.seed))
        object["step"] = .integer(trainer?.step ?? 0)
        object["is_finished"] = .bool(trainer?.isFinished ?? false)
        object["precision"] = .string(engine.precision.rawValue)
        object["threads"] = .integer(engine.threads.count)
        return .object(object)
    }
}

extension AutoencoderSettings {
    /// The settings by the keys of records; what is not given is as by default.
    fileprivate init(_ settings: Settings) throws {
        self.init()
        let large = 1 << 40
        rule = try settings.choice("rule") ?? rule
        expansion = try settings.int("expansion", in: 1...1 << 30) ?? expansion
        latents = try settings.int("latents", in: 1...1 << 30)
        k = try settings.int("k", in: 1...1 << 40) ?? k
        multiTopK = try settings.bool("multi_topk") ?? multiTopK
        inputUnitNorm = try settings.bool("input_unit_norm") ?? inputUnitNorm
        prefixes = try settings.ints("prefixes") ?? prefixes
        training.steps = try settings.int("steps", in: 1...large) ?? training.steps
        training.batchTokens = try settings.int("batch_tokens", in: 1...1 << 24) ?? training.batchTokens
        training.learningRate = try settings.double("learning_rate", above: 0)
        training.schedule = try settings.choice("schedule") ?? training.schedule
        training.warmUp = try settings.int("warm_up", in: 0...large) ?? training.warmUp
        training.loss.auxkAlpha = try settings.float("auxk_alpha", from: 0) ?? training.loss.auxkAlpha
        training.loss.l1Coefficient = try settings.float("l1", from: 0) ?? training.loss.l1Coefficient
        training.loss.l0Coefficient = try settings.float("l0", from: 0) ?? training.loss.l0Coefficient
        training.loss.bandwidth = try settings.float("bandwidth", above: 0) ?? training.loss.bandwidth
        training.maxGradientNorm = try settings.double("max_gradient_norm", above: 0) ?? training.maxGradientNorm
        training.deadAfterTokens = try settings.int("dead_after_tokens", in: 0...large) ?? training.deadAfterTokens
        training.resampleEvery = try settings.int("resample_every", in: 0...large) ?? training.resampleEvery
        training.seed = UInt64(try settings.int("seed", in: 0...Int.max) ?? 0)
    }
}

typealias TrainerBox = Box<OpenTrainer>

extension Box where Content == OpenTrainer {
    static func of(_ handle: OpaquePointer?) throws -> TrainerBox { try of(handle, "trainer") }
}

@c @implementation
public func lvo_trainer_open(
    _ settings: UnsafePointer<CChar>?, _ trainer: UnsafeMutablePointer<OpaquePointer?>?,
    _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        let place = try Argument.place(trainer, "trainer")
        place.pointee = TrainerBox("trainer", try OpenTrainer(Settings(settings, keys: OpenTrainer.keys))).handle
    }
}

@c @implementation
public func lvo_trainer_close(_ trainer: OpaquePointer?, _ error: UnsafeMutablePointer<lvo_error>?) -> Int32 {
    report(to: error) { try TrainerBox.of(trainer).close() }
}

@c @implementation
public func lvo_trainer_free(_ trainer: OpaquePointer?) { TrainerBox.free(trainer) }

@c @implementation
public func lvo_trainer_cancel(_ trainer: OpaquePointer?, _ error: UnsafeMutablePointer<lvo_error>?) -> Int32 {
    report(to: error) { try TrainerBox.of(trainer).cancel() }
}

@c @implementation
public func lvo_trainer_describe(
    _ trainer: OpaquePointer?, _ json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?,
    _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        let place = try Argument.place(json, "json")
        place.pointee = try TrainerBox.of(trainer).take { trainer, _ in trainer.description.ownedText }
    }
}

@c @implementation
public func lvo_trainer_step(
    _ trainer: OpaquePointer?, _ batch: UnsafePointer<Float>?, _ batch_shape: UnsafePointer<Int64>?, _ positions: Int64,
    _ metrics: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        metrics?.pointee = nil
        try TrainerBox.of(trainer).take { trainer, _ in
            let (rows, width) = (trainer.options.batchTokens, trainer.configuration.inputWidth)
            let shape = try Argument.shape(batch_shape, axes: 2, "batch", "[\(rows), \(width)]")
            guard shape == [rows, width] else { throw Refusal("batch: expected [\(rows), \(width)], found \(shape)") }
            guard positions >= 1, rows % Int(positions) == 0 else {
                throw Refusal("positions: expected a divisor of the batch's \(rows) rows, found \(positions)")
            }
            if trainer.trainer?.isFinished == true { throw Refusal("all \(trainer.options.steps) steps are done") }
            let copy = try Argument.tensor(batch, shape, "batch", in: trainer.engine.workspace)
            let line = try trainer.step(copy, positions: Int(positions))
            metrics?.pointee = line.json.ownedText
        }
    }
}

@c @implementation
public func lvo_trainer_sae(
    _ trainer: OpaquePointer?, _ sae: UnsafeMutablePointer<OpaquePointer?>?, _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        let place = try Argument.place(sae, "sae")
        try TrainerBox.of(trainer).take { trainer, _ in
            guard let trained = trainer.trainer else { throw Refusal("there is no autoencoder before the first step") }
            let copy = trained.autoencoder.copy()
            let engine = trainer.engine.running(on: Threads(count: trainer.engine.threads.count))
            if copy.configuration.normalizeDecoder { copy.normalizeDecoder(engine: engine) }
            place.pointee = AutoencoderBox(OpenAutoencoder(copy, engine: engine)).handle
        }
    }
}
