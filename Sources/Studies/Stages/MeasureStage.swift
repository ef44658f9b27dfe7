import Experiments
import Files
import Foundation
import Pictures
import Tensors
import WorkUnits

/// Measures of every dream. One unit per dream:
///
///     measures.json            the numbers
///     direction.safetensors    direction [n]: what the results look like to the other layers, their mean
struct MeasureStage: WorkStage {
    let study: Study
    let name = StageName.measure.rawValue

    func units() throws -> [WorkUnit<DreamSubject>] {
        let dreams = DreamStage(study: study)
        let captured = try CaptureStage(study: study).fingerprint()
        let reference = try ReferenceStage(study: study).fingerprint()
        let judge = try study.factorJudge().map { JSON.string($0.fingerprint) } ?? .null
        return try study.dreamSubjects().map { dream in
            let (subject, timestep) = (dream.subject, dream.timestep)
            return WorkUnit(
                id: dream.path,
                key: try JSON(
                    [
                        ("version", 5), ("dream", .string(try dreams.unit(dream).fingerprint)),
                        ("timestep", .integer(timestep)), ("noise_draws", .integer(study.settings.noiseDraws)),
                        ("examples", .array(try examples(subject, timestep: timestep).map(exampleKey))),
                        ("others", .array(others(subject).map(exampleKey))),
                        ("largest", .float(try largest(subject, timestep))), ("captured", .string(captured)),
                        ("top_k", .integer(study.settings.topK)), ("seed", .integer(study.settings.seed)),
                        ("reference", .string(reference)), ("judge", judge),
                    ] + optionalKey(subject, captured: captured)), payload: dream)
        }
    }

    /// What only some settings want: without it, results from before there was such a thing stay valid.
    private func optionalKey(_ subject: Subject, captured: String) throws -> [(String, JSON)] {
        let second = try SecondAutoencoder(study: study).key(subject)
        guard study.settings.steers else { return second }
        return second + [
            ("steered", .string(try SteerStage(study: study).unit(subject, captured: captured).fingerprint))
        ]
    }

    func compute(_ unit: WorkUnit<DreamSubject>, into folder: String, partial: PartialUnit) throws {
        let (dream, network) = (unit.payload, NetworkMeasures(study: study))
        let results = try results(dream)
        let views = try network.views(of: results.encoded, without: dream.subject.site.layer)
        let measures = try measure(dream, results, views)
        try DreamDirections.write(views.map(\.direction), to: folder)
        try JSON(measures.map { ($0.name, $0.value.map { JSON.float(Float($0)) } ?? .null) })
            .write(to: folder + "/measures.json", overwrite: false)
    }

    private func measure(
        _ dream: DreamSubject, _ results: Results, _ views: [NetworkMeasures.View]
    ) throws -> [(name: String, value: Double?)] {
        let (subject, timestep) = (dream.subject, dream.timestep)
        let compared = study.comparisonSite(subject.site.layer)
        let sites = Array(Set([subject.site, compared]))
        let draws = study.settings.noiseDraws
        let places = study.settings.places
        let activations = try study.model.activations(
            of: results.latents, at: sites, places: places, timestep: timestep, draws: draws)
        let redrawn = try study.model.activations(
            of: results.encoded, at: [subject.site], places: places, timestep: timestep, draws: draws)
        guard let own = activations[subject.site], let shared = activations[compared], let left = redrawn[subject.site]
        else { throw SimpleFailure(.internalError, "\(dream.path): no activations") }
        let largest = try largest(subject, timestep)
        let (examples, others) = (try examples(subject, timestep: timestep), others(subject))
        let exampleVectors = try vectors(examples, compared, timestep)
        let otherVectors = try vectors(others, compared, timestep)
        let means = try study.analysis(compared).means(near: timestep)
        let values = own.map { $0[subject.index] }
        let ofOthers = try vectors(others, subject.site, timestep).map { Double($0[subject.index]) }
        let recognition = Recognition(study: study, others: others)
        let isRecognized = try recognition.share(subject, timestep: timestep)
        let start = results.start.map { $0.measures(largest: largest, recognized: isRecognized) }
        let network = try NetworkMeasures(study: study).measures(
            subject, timestep: timestep, examples: examples, views: views)
        let causal = study.settings.steers
            ? try Causality(study).recognized(subject, study.factorJudge() == nil ? nil : isRecognized) : []
        let second = try SecondAutoencoder(study: study).measures(dream, results: results.latents, examples: examples)
        return try recognition.measures(subject, timestep: timestep, results: results.pictures) + network
            + [
                ("retention", Measures.retention(before: values, after: left.map { $0[subject.index] })),
                ("retention_of_others", Measures.share(Measures.mean(ofOthers), of: values)),
                ("reach", Measures.mean(values.compactMap { Measures.reach(activation: $0, largest: largest) })),
                ("rank", Measures.mean(own.map { Double(Measures.rank(of: subject.index, in: $0)) })),
                ("z_score", Measures.mean(own.map { Measures.zScore(of: subject.index, in: $0) })),
                ("agreement", Measures.agreement(shared, exampleVectors)),
                ("agreement_with_others", Measures.agreement(shared, otherVectors)),
                ("diversity", Measures.diversity(shared, around: means)),
                ("diversity_of_others", Measures.diversity(otherVectors, around: means)),
                ("stability", Measures.stability(values)),
            ] + second + causal + (start ?? []) + purities(subject, timestep: timestep, results: shared, compared)
    }

    /// What a dream has left.
    private struct Results {
        /// `[B, 4, h, w]`
        let latents: Tensor
        let pictures: [Bitmap]
        /// Latents of the pictures, as the encoder gives them: what is left of the result in what people see.
        let encoded: Tensor
        /// Nil unless dreams start from the pool.
        let start: NaturalStart?
    }

    private func results(_ dream: DreamSubject) throws -> Results {
        let folder = try study.folder(of: DreamStage(study: study).unit(dream), in: .dream)
        let latents = try TensorFile.read(folder + "/latents.safetensors", name: "latent")
        let pictures = try study.settings.dreamSeeds.map { try PNG.read("\(folder)/\($0).png").bitmap }
        let encoded = try pictures.flatMap { try study.model.latent(of: $0).array }
        guard latents.count == encoded.count, latents.shape.first == pictures.count else {
            throw SimpleFailure(.badData, "\(folder): latents \(latents.shape) for \(pictures.count) pictures")
        }
        return Results(
            latents: latents, pictures: pictures, encoded: Tensor(latents.shape, encoded),
            start: try NaturalStart(dream, in: folder, study: study))
    }

    /// How pure the examples' most shared factor is, and the share of the same value among the pictures nearest to the
    /// results. Nothing where prompts have no factors.
    private func purities(
        _ subject: Subject, timestep: Int, results: [[Float]], _ site: Site
    ) throws -> [(name: String, value: Double?)] {
        let factors = try examples(subject, timestep: timestep).map { study.picture(of: $0).prompt.factors }
        guard study.prompts.contains(where: { !$0.factors.isEmpty }), let own = Measures.purity(factors) else {
            return []
        }
        let all = Array(0..<study.generations)
        let vectors = try vectors(all, site, timestep)
        let shares = results.map { result in
            let nearest = all.map { (likeness: Measures.cosine(result, vectors[$0]), generation: $0) }
                .sorted { ($1.likeness, $0.generation) < ($0.likeness, $1.generation) }.prefix(factors.count)
            let matching = nearest.filter { study.picture(of: $0.generation).prompt.factors[own.factor] == own.value }
            return Double(matching.count) / Double(nearest.count)
        }
        return [("example_purity", own.share), ("dream_purity", Measures.mean(shares))]
    }

    private func vectors(_ generations: [Int], _ site: Site, _ timestep: Int) throws -> [[Float]] {
        let capture = CaptureStage(study: study)
        return try generations.map { try capture.activation(of: $0, site, timestep: timestep) }
    }

    /// The strongest examples at the observed time step nearest to the dream's.
    private func examples(_ subject: Subject, timestep: Int) throws -> [Int] {
        let analysis = try study.analysis(subject.site)
        return analysis.examples(subject.index, step: analysis.nearestStep(timestep))
            .prefix(study.settings.measuredExamples).map(\.generation)
    }

    /// As many generations that have nothing to do with the subject: drawn by its number.
    private func others(_ subject: Subject) -> [Int] {
        let random = CounterRandom(
            seed: UInt64(study.settings.seed), purpose: .selection, unit: UInt64(subject.index))
        return Array(random.permutation(study.generations).prefix(study.settings.measuredExamples))
    }

    private func largest(_ subject: Subject, _ timestep: Int) throws -> Float {
        try study.analysis(subject.site).maxActivation(subject.index, near: timestep)
    }

    /// Names a generation whatever its number: by prompt, picture and half.
    private func exampleKey(_ generation: Int) -> JSON {
        let (prompt, image, half) = study.picture(of: generation)
        return .string("\(prompt.id)/\(image)/\(half)")
    }
}
