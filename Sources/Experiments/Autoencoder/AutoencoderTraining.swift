import Files
import Ops
import SparseAutoencoders
import WorkUnits

/// Trains sparse autoencoders of one or several layers, on stored activations or on those of pictures being
/// drawn.
///
/// Each layer has the folder FOLDER/LAYER with its checkpoint, metrics and curves, and at the end the
/// autoencoder in FOLDER/LAYER/unet.LAYER. Run again after a stop or a crash, training goes on from the
/// checkpoints, and the result is that of one run without a stop.
public struct AutoencoderTraining {
    /// An event of the training.
    public enum Event {
        /// A layer's training starts, at the step of its checkpoint or at 0.
        case began(TrainingRun)
        /// A step is done.
        case step(TrainingRun, TrainingMetrics)
        /// A file of a store that is being followed is not there yet.
        case waiting(for: String)
        /// A layer's training is complete, and its autoencoder in this folder.
        case finished(folder: String)
    }

    private let settings: AutoencoderSettings
    private let folder: String
    private let interval: Int
    private let engine: Engine
    private let check: () throws -> Void
    private let report: (Event) -> Void

    /// - Parameters:
    ///   - folder: made if it is missing.
    ///   - interval: steps between checkpoints, at least 1: the most that a crash can cost.
    ///   - check: asked after every step; what it throws ends the training, with checkpoints written.
    public init(
        _ settings: AutoencoderSettings, folder: String, interval: Int = 100, engine: Engine,
        check: @escaping () throws -> Void = {}, report: @escaping (Event) -> Void = { _ in }
    ) {
        precondition(interval > 0, "checkpoint interval \(interval)")
        (self.settings, self.folder, self.interval) = (settings, folder, interval)
        (self.engine, self.check, self.report) = (engine, check, report)
    }

    /// Trains one layer after the other on finished stores.
    ///
    /// - Parameters:
    ///   - stores: those of one layer are read together, in their order (`StoreSource`).
    ///   - window: files that are mixed with one another; nil: all.
    /// - Throws: what `check` throws; a `Failure` for settings that do not fit a layer, a damaged store, or a
    ///   checkpoint of other settings.
    public func run(_ stores: [ActivationStore], window: Int? = nil) throws {
        var layers: [String] = []
        for store in stores where !layers.contains(store.layer) { layers.append(store.layer) }
        for layer in layers { try train(stores.filter { $0.layer == layer }, window: window, wait: nil) }
    }

    /// Trains one layer after the other on stores that are still being filled, perhaps not even begun. Where the next
    /// window of files is not complete, training waits for it; it ends with the last step, or waits as long as files are
    /// missing. The autoencoders are those of `run` on the finished stores with this window, byte for byte.
    ///
    /// - Parameter window: files that are mixed with one another; training begins with the first so many.
    /// - Throws: as the other.
    public func follow(_ folders: ActivationFolders, window: Int) throws {
        func wait(_ missing: String) throws {
            report(.waiting(for: missing))
            try SharedWork.pause(check)
        }
        var done: Set<String> = []
        while true {
            // A layer's store may be begun after another layer was trained.
            guard let layer = try folders.layers().first(where: { !done.contains($0) }) else {
                if !done.isEmpty { return }
                try wait(folders.missing.description)
                continue
            }
            let stores: [ActivationStore]
            do {
                stores = try folders.stores(of: layer)
            } catch let failure as SimpleFailure where failure.kind == .missingInput {
                try wait(failure.description)
                continue
            }
            try train(stores, window: window, wait: wait)
            done.insert(layer)
        }
    }

    /// - Parameter stores: of one layer.
    private func train(
        _ stores: [ActivationStore], window: Int?, wait: ((_ missing: String) throws -> Void)?
    ) throws {
        try OutputFile.makeFolder(folder)
        let source = try StoreSource(
            stores, keepsSamples: settings.keepsSamples, seed: settings.training.seed, window: window, wait: wait)
        let run = try makeRun(stores[0].layer, width: source.width, source)
        let interruption = Interruption(check)
        do {
            try run.advance(shallStop: interruption.isAsked, progress: { report(.step(run, $0)) })
        } catch let failure as any Failure where failure.kind == .stoppedEarly {
            // While it waited, between two steps: a batch that was not filled has taken nothing.
            try run.save()
            throw failure
        }
        try finish(run)
        try interruption.rethrow()
    }

    /// Trains all layers side by side while pictures are drawn, each of them once.
    ///
    /// - Parameter buffer: tokens of the buffer that mixes each layer's activations.
    /// - Throws: as the other; `SimpleFailure(.usage)` for a buffer of less than two batches.
    public func run(_ pictures: any PictureActivations, buffer: Int) throws {
        try checkBuffer(buffer, pictures)
        try OutputFile.makeFolder(folder)
        let stream = try ActivationStream(
            pictures, keepsSamples: settings.keepsSamples, capacityTokens: buffer, seed: settings.training.seed)
        let runs = try zip(pictures.layers, stream.sources).map { layer, source in
            (run: try makeRun(layer.name, width: layer.width, source), source: source)
        }
        let interruption = Interruption(check)
        try trainTogether(runs, shallStop: interruption.isAsked, progress: { report(.step($0, $1)) })
        for (run, _) in runs { try finish(run) }
        try interruption.rethrow()
        // Pictures that were stopped while being drawn end the training without an error.
        if runs.contains(where: { !$0.run.isFinished }) { try check() }
    }

    private func checkBuffer(_ buffer: Int, _ pictures: any PictureActivations) throws {
        let batch = settings.training.batchTokens
        guard buffer >= 2 * batch else {
            throw SimpleFailure(.usage, "buffer of \(buffer) tokens: expected at least two batches, \(2 * batch)")
        }
        guard settings.keepsSamples else { return }
        for layer in pictures.layers {
            guard batch % layer.positions == 0 else {
                throw SimpleFailure(
                    .usage, "batch of \(batch) tokens: \(settings.rule.rawValue) takes whole samples, and one of "
                        + "\(layer.name) has \(layer.positions)")
            }
        }
    }

    private func makeRun(_ layer: String, width: Int, _ source: any ActivationSource) throws -> TrainingRun {
        let recorded = try TrainingRun.recordedOrigin(in: "\(folder)/\(layer)")
        func pictures(_ origin: JSON?) -> JSON? { origin?["pictures"] ?? origin }
        try ModelCheck.sameModel(
            pictures(recorded), pictures(source.origin) ?? .null, at: TrainingRun.checkpointPath("\(folder)/\(layer)"))
        let run = try TrainingRun(
            folder: "\(folder)/\(layer)", hookpoint: "unet.\(layer)",
            configuration: settings.configuration(width: width), options: settings.training, source: source,
            interval: interval, engine: engine)
        report(.began(run))
        return run
    }

    private func finish(_ run: TrainingRun) throws {
        try TrainingCurves.write(folder: run.folder, precision: run.precision)
        if run.isFinished { report(.finished(folder: "\(run.folder)/\(run.hookpoint)")) }
    }
}

/// A throwing check as a question whether to stop, for loops that save their state before they end.
final class Interruption {
    private let check: () throws -> Void
    private var error: (any Error)?

    init(_ check: @escaping () throws -> Void) { self.check = check }

    func isAsked() -> Bool {
        if error == nil {
            do { try check() } catch { self.error = error }
        }
        return error != nil
    }

    /// Throws what the check threw.
    func rethrow() throws {
        if let error { throw error }
    }
}
