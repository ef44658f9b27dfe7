import Files
import Pictures
import Tensors

/// Whether a dream excites what an autoencoder of another training seed has found in its feature's place. What excites
/// only one of them belongs to the autoencoder, not to the layer.
struct SecondAutoencoder {
    /// Other features of the second autoencoder, for comparison.
    private static let others = 15

    let study: Study

    /// Nothing without a second autoencoder; null where it has no feature that is like the subject.
    ///
    /// - Parameters:
    ///   - latents: of the results, `[B, 4, h, w]`.
    ///   - examples: generations.
    func measures(
        _ dream: DreamSubject, results latents: Tensor, examples: [Int]
    ) throws -> [(name: String, value: Double?)] {
        guard let match = try study.model.match(dream.subject) else { return [] }
        let isMatched = Double(match.cosine) >= study.settings.leastCosine
        let features = isMatched ? [match.feature] + others(of: dream.subject, match) : []
        let ofResults = isMatched ? try activations(dream, latents, features) : []
        let ofExamples = isMatched ? try activations(dream, encoded(examples), [match.feature]) : []
        let ofOthers = features.indices.dropFirst().compactMap { Self.share(1 + $0, ofResults) }
        return [
            ("second_cosine", Double(match.cosine)), ("second_retention", Self.share(1, ofResults)),
            ("second_retention_of_examples", Self.share(1, ofExamples)),
            ("second_retention_of_others", Measures.mean(ofOthers)),
        ]
    }

    /// What the results depend on beside what all measures do.
    func key(_ subject: Subject) throws -> [(String, JSON)] {
        guard study.settings.secondAutoencoders != nil, subject.site.space == .features else { return [] }
        let identity = try study.model.secondIdentity(subject.site.layer)
        return [("second", [identity, .number(study.settings.leastCosine)])]
    }

    private func others(of subject: Subject, _ match: FeatureMatch) -> [Int] {
        let random = CounterRandom(
            seed: UInt64(study.settings.seed), purpose: .selection, unit: UInt64(subject.index), step: 3)
        return Array(random.permutation(match.count).filter { $0 != match.feature }.prefix(Self.others))
    }

    /// A column's sum ÷ the first one's; nil if that is not positive.
    private static func share(_ column: Int, _ rows: [[Float]]) -> Double? {
        let whole = rows.reduce(0) { $0 + Double($1[0]) }
        return whole > 0 ? rows.reduce(0) { $0 + Double($1[column]) } / whole : nil
    }

    /// Of as many latents at once as the dreams had, for whom there was memory.
    private func activations(_ dream: DreamSubject, _ latents: Tensor, _ features: [Int]) throws -> [[Float]] {
        let batch = max(1, study.settings.dreamSeeds.count)
        return try stride(from: 0, to: latents.shape[0], by: batch).flatMap { start in
            try study.model.activations(
                of: latents.slice(start..<min(start + batch, latents.shape[0])).copy(), dream.subject, beside: features,
                place: study.settings.place(dream.subject.site.space), timestep: dream.timestep,
                draws: study.settings.noiseDraws)
        }
    }

    private func encoded(_ examples: [Int]) throws -> Tensor {
        let capture = CaptureStage(study: study)
        let latents = try examples.map { try study.model.latent(of: PNG.read(capture.picturePath($0)).bitmap) }
        return Tensor([latents.count] + (latents.first?.shape.dropFirst() ?? []), latents.flatMap(\.array))
    }
}
