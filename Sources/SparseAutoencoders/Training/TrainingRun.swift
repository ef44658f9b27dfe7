import Files
import Foundation
import Ops
import Tensors

/// A training run in a folder: `checkpoint.safetensors` (everything, replaced whole every `interval` steps),
/// `metrics.ndjson` and `metrics.csv`, and at the end `HOOKPOINT/cfg.json` and `sae.safetensors`.
///
/// Killed at any time, the run goes on from its checkpoint and ends as if it had not been: at most `interval` steps are
/// done twice. Metrics after the checkpoint are cut off when it goes on.
public final class TrainingRun {
    /// What the training's products are rounded to.
    public var precision: Precision { engine.precision }
    /// Where checkpoint, metrics and result are.
    public let folder: String
    /// The result's subfolder, such as `unet.mid_block.attentions.0`.
    public let hookpoint: String
    /// The state of the training.
    public let trainer: SAETrainer
    private let source: any ActivationSource
    private let interval: Int
    private let engine: Engine
    private let metrics: MetricsLog
    private let settings: JSON
    /// What the start was made from; also the first step's batch.
    private var firstBatch: Tensor?
    /// The step that the checkpoint holds.
    private var savedStep = 0

    /// The checkpoint of the run in a folder.
    public static func checkpointPath(_ folder: String) -> String { "\(folder)/checkpoint.safetensors" }

    /// Starts a run, or goes on with the one that the folder holds.
    ///
    /// - Throws: `Failure`: the folder's checkpoint has other settings, is damaged, or the source has no first batch.
    public init(
        folder: String, hookpoint: String, configuration: SAEConfiguration, options: TrainingOptions,
        source: any ActivationSource, interval: Int, engine: Engine
    ) throws {
        precondition(interval > 0, "checkpoint interval \(interval)")
        (self.folder, self.hookpoint, self.source) = (folder, hookpoint, source)
        (self.interval, self.engine) = (interval, engine)
        try OutputFile.makeFolder(folder)
        let recorded = engine.precision.recorded.map { [("precision", JSON.string($0))] } ?? []
        let settings = JSON(
            [
                ("configuration", configuration.json), ("options", options.json), ("activations", source.origin),
                ("hookpoint", .string(hookpoint)),
            ] + recorded)
        let path = Self.checkpointPath(folder)
        if FileManager.default.fileExists(atPath: path) {
            let checkpoint = try TrainingCheckpoint(path: path)
            try checkpoint.check(settings)
            trainer = SAETrainer(
                SparseAutoencoder(zeros: configuration), options: options, engine: engine)
            try trainer.restore(checkpoint.store, step: checkpoint.step)
            try source.restore(checkpoint.source)
            try checkpoint.store.finish()
            savedStep = checkpoint.step
            metrics = try MetricsLog(folder: folder, lengths: checkpoint.metricsLengths)
        } else {
            guard let batch = try source.next(options.batchTokens) else {
                throw SimpleFailure(
                    .badData, "\(hookpoint): the activations do not fill one batch of \(options.batchTokens) tokens")
            }
            firstBatch = batch
            let autoencoder = SparseAutoencoder(
                configuration: configuration, firstBatch: batch, seed: options.seed, engine: engine)
            trainer = SAETrainer(autoencoder, options: options, engine: engine)
            metrics = try MetricsLog(folder: folder, lengths: nil)
        }
        self.settings = settings
    }

    /// Whether all updates are done.
    public var isFinished: Bool { trainer.isFinished }

    /// Up to `count` further steps, ending early at the end of the run.
    ///
    /// - Parameter shallStop: asked after every step; true saves a checkpoint and ends.
    public func advance(
        _ count: Int = .max, shallStop: () -> Bool = { false }, progress: (TrainingMetrics) -> Void = { _ in }
    ) throws {
        var done = 0
        while done < count && !trainer.isFinished {
            let start = ContinuousClock.now
            guard let batch = try firstBatch ?? source.next(trainer.options.batchTokens) else {
                throw SimpleFailure(
                    .badData,
                    "\(hookpoint): activations ended after \(trainer.step) of \(trainer.options.steps) steps; "
                        + "give fewer steps or more activations")
            }
            firstBatch = nil
            var line = try train(batch)
            let seconds = (ContinuousClock.now - start) / Duration.seconds(1)
            line.tokensPerSecond = Double(batch.rows) / max(seconds, 1e-9)
            try metrics.append(line)
            progress(line)
            done += 1
            let stops = shallStop()
            if trainer.step % interval == 0 || stops || trainer.isFinished { try save() }
            if stops { return }
        }
        if trainer.isFinished { try writeResult() }
    }

    private func train(_ batch: Tensor) throws -> TrainingMetrics {
        do {
            return try trainer.train(batch, positions: source.positions)
        } catch var divergence as TrainingDivergence {
            divergence.checkpointStep = savedStep
            throw divergence
        }
    }

    /// Writes the checkpoint. Before the first step there is nothing that a new start would not make again (and a
    /// checkpoint would lose the batch that the start was made from).
    public func save() throws {
        guard trainer.step > 0 else { return }
        try TrainingCheckpoint.write(
            trainer, source: source.state, settings: settings, metricsLengths: metrics.lengths,
            to: Self.checkpointPath(folder))
        savedStep = trainer.step
    }

    private func writeResult() throws {
        if trainer.autoencoder.configuration.normalizeDecoder { trainer.autoencoder.normalizeDecoder(engine: engine) }
        try trainer.autoencoder.write(
            folder: "\(folder)/\(hookpoint)", trainedIn: engine.precision, overwrite: true)
    }
}
