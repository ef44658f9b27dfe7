import Experiments
import Files
import SparseAutoencoders
import StableDiffusion
import Tensors
import Visualization

/// Autoencoders of another training seed.
extension NetworkModel {
    /// A layer's autoencoder of another training seed; nil if the settings name none.
    ///
    /// - Throws: `SimpleFailure`: `.missingInput` if the folder has none for the layer, `.badData` for another width, another
    ///   treatment of inputs or the study's own autoencoder; `FileFailure`.
    func secondAutoencoder(_ layer: String) throws -> SparseAutoencoder? {
        let hook = try hook(layer)
        if let known = knownSeconds[hook.name] { return known }
        guard let path = try secondPath(layer) else { return nil }
        let second = try AutoencoderFolder.load(path, layer: hook.name, width: hook.channels)
        guard try session.autoencoderIdentity(folder: path) != session.autoencoderIdentity(layer) else {
            throw SimpleFailure(
                .badData, "\(path): the same autoencoder as the study's own; measure.second_sae takes one of another seed")
        }
        guard second.configuration.inputUnitNorm == (try session.autoencoder(layer)).configuration.inputUnitNorm else {
            throw SimpleFailure(
                .badData, "\(path): of this and the study's own autoencoder only one normalizes its input; they do not compare")
        }
        knownSeconds[hook.name] = second
        return second
    }

    private func secondPath(_ layer: String) throws -> String? {
        try secondFolder.map { folder in
            let root = folder == EmbeddedModel.name ? folder : session.reference.resolved(folder)
            return try AutoencoderFolder.find(in: root, layer: hook(layer).name)
        }
    }

    public func secondIdentity(_ layer: String) throws -> JSON {
        try secondPath(layer).map { try session.autoencoderIdentity(folder: $0) } ?? .null
    }

    public func match(_ subject: Subject) throws -> FeatureMatch? {
        guard subject.site.space == .features, let second = try secondAutoencoder(subject.site.layer) else { return nil }
        let nearest = try session.autoencoder(subject.site.layer)
            .nearest(to: subject.index, in: second, engine: session.engine)
        return FeatureMatch(feature: nearest.feature, cosine: nearest.cosine, count: second.numLatents)
    }

    public func activations(
        of latents: Tensor, _ subject: Subject, beside features: [Int], place: Where, timestep: Int, draws: Int
    ) throws -> [[Float]] {
        let (layer, batch) = (subject.site.layer, latents.shape[0])
        let size = LatentSize(batch: batch, height: latents.shape[2], width: latents.shape[3])
        let own = (autoencoder: try session.autoencoder(layer), feature: subject.index)
        let others = try secondAutoencoder(layer).map { second in features.map { (autoencoder: second, feature: $0) } } ?? []
        let pooling = try pooling(layer, place, height: size.height, width: size.width)
        var sums = [[Double]](repeating: [Double](repeating: 0, count: 1 + others.count), count: batch)
        let dreamer = try session.dreamer(session.hook(layer), size: size)
        try dreamer.observe(latents, timestep: timestep, noiseDraws: draws) { activation in
            for (column, (autoencoder, feature)) in ([own] + others).enumerated() {
                let values = autoencoder.preActivation(of: feature, activation, engine: session.engine).map { max($0, 0) }
                let positions = values.count / batch
                for sample in 0..<batch {
                    let map = Tensor([positions, 1], Array(values[sample * positions..<(sample + 1) * positions]))
                    sums[sample][column] += pooling.reduce(map)[0] * autoencoder.decoderLength(feature)
                }
            }
        }
        return sums.map { $0.map { Float($0 / Double(draws)) } }
    }
}

extension SparseAutoencoder {
    /// Length of a feature's decoder row.
    fileprivate func decoderLength(_ feature: Int) -> Double {
        decoderWeight.slice(feature..<feature + 1).array.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    }
}
