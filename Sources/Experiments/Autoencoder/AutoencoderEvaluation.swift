import Files
import Ops
import SparseAutoencoders

/// Evaluates a sparse autoencoder on stored activations that it was not trained on.
public struct AutoencoderEvaluation {
    /// What is evaluated.
    public let autoencoder: SparseAutoencoder
    /// Its name in the report.
    public let name: String
    /// Another autoencoder of the same layer, to match features with.
    public var other: (autoencoder: SparseAutoencoder, name: String)?
    /// Measures the loss recovered in the model; nil: the report leaves it out.
    public var lossRecovered: LossRecovered.Measurement?

    /// - Parameter name: what the report calls the autoencoder, such as its folder.
    public init(_ autoencoder: SparseAutoencoder, name: String) {
        (self.autoencoder, self.name) = (autoencoder, name)
    }

    /// - Parameters:
    ///   - stores: complete, of one layer; read one after the other.
    ///   - check: asked after every map and U-Net call; what it throws ends the evaluation.
    /// - Precondition: at least one store.
    /// - Throws: what `check` throws; a `Failure` for a damaged store, or one of another width.
    public func run(
        _ stores: [ActivationStore], engine: Engine, check: () throws -> Void = {}
    ) throws -> AutoencoderReport {
        let layer = stores[0].layer
        for store in stores {
            for width in [autoencoder.inputWidth, other?.autoencoder.inputWidth ?? store.width] where width != store.width {
                throw SimpleFailure(
                    .badData, "\(store.folders[0]): activations of \(store.width) channels for an autoencoder of \(width)")
            }
        }
        var report = AutoencoderReport(
            name: name, layer: layer, evaluation: try evaluate(stores, engine, check), precision: engine.precision)
        report.neighbours = autoencoder.decoderNeighbours(engine: engine)
        report.matches = other.map { autoencoder.match($0.autoencoder, engine: engine) }
        report.other = other?.name
        report.recovered = try lossRecovered?.run(autoencoder, layer: layer, engine: engine, check: check)
        return report
    }

    /// Two passes over the activations: their means, then the autoencoder's errors.
    private func evaluate(_ stores: [ActivationStore], _ engine: Engine, _ check: () throws -> Void) throws -> SAEEvaluation {
        var means = ActivationMeans(width: autoencoder.inputWidth)
        for store in stores {
            try store.forEachMap {
                means.add($0, timestep: $1, engine: engine)
                try check()
            }
        }
        var evaluation = SAEEvaluation(autoencoder, means: means, engine: engine)
        for store in stores {
            try store.forEachMap {
                evaluation.add($0, timestep: $1)
                try check()
            }
        }
        return evaluation
    }
}
