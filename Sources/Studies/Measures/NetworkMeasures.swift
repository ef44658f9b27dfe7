import Tensors

/// What the whole network says of results beside the layer that was optimized: whether its other levels find them like
/// the feature's examples, and whether it finds them natural.
struct NetworkMeasures {
    /// Other features whose examples compete with the feature's own.
    static let rivals = 15
    /// A feature of fewer examples is no rival.
    static let fewestExamples = 3

    let study: Study

    /// What the network makes of a picture.
    struct View {
        /// Per time step of the reference.
        let errors: [Float]
        /// `DatasetReference.direction`.
        let direction: [Float]
    }

    /// - Parameters:
    ///   - latents: clean, `[B, 4, h, w]`.
    ///   - layer: the one that was optimized; its level is left out of the directions.
    func views(of latents: Tensor, without layer: String) throws -> [View] {
        let reference = try study.reference()
        return try (0..<latents.shape[0]).map {
            let response = try study.model.response(to: latents.slice($0..<$0 + 1), timesteps: ReferenceStage.timesteps)
            return View(errors: response.errors, direction: reference.direction(of: response, without: layer))
        }
    }

    /// - Parameters:
    ///   - examples: generations.
    ///   - views: of the results' pictures.
    func measures(
        _ subject: Subject, timestep: Int, examples: [Int], views: [View]
    ) throws -> [(name: String, value: Double?)] {
        let (reference, layer) = (try study.reference(), subject.site.layer)
        let own = distinctPictures(examples)
        let others = try rivals(of: subject, timestep: timestep, without: Set(own))
        let rivals = try others.map { try $0.map { try reference.direction(ofPicture: $0, without: layer) } }
        let identification = Identification(
            own: try own.map { try reference.direction(ofPicture: $0, without: layer) }, others: rivals)
        let found = views.map { identification.isOwn($0.direction) }
        let causal = study.settings.steers
            ? try Causality(study).likeness(subject, dreams: views.map(\.direction), rivals: rivals) : []
        return [
            ("identification", Measures.share(of: found)),
            ("identification_of_examples", Measures.share(of: identification.ownLeftOut)),
            ("identification_by_chance", own.isEmpty || others.isEmpty ? nil : 1 / Double(others.count + 1)),
            ("naturalness", Measures.mean(views.map { Measures.naturalness($0.errors, among: reference.errors) })),
            ("constancy_of_seeds", Measures.likeness(views.map(\.direction))),
        ] + causal
    }

    /// Numbers of the generations' pictures, each once, in their order.
    private func distinctPictures(_ generations: [Int]) -> [Int] {
        var seen: Set<Int> = []
        return generations.map { $0 / study.halvesPerPicture }.filter { seen.insert($0).inserted }
    }

    /// Pictures of other features' examples at the time step, drawn by the subject's number. A feature that shares an
    /// example is no rival: it may stand for the same thing.
    private func rivals(of subject: Subject, timestep: Int, without own: Set<Int>) throws -> [[Int]] {
        let analysis = try study.analysis(subject.site)
        let step = analysis.nearestStep(timestep)
        let random = CounterRandom(
            seed: UInt64(study.settings.seed), purpose: .selection, unit: UInt64(subject.index), step: 1)
        var found: [[Int]] = []
        for index in random.permutation(analysis.channels) where index != subject.index && found.count < Self.rivals {
            let examples = analysis.examples(index, step: step).prefix(study.settings.measuredExamples)
            let pictures = distinctPictures(examples.map(\.generation))
            if pictures.count >= Self.fewestExamples, own.isDisjoint(with: pictures) { found.append(pictures) }
        }
        return found
    }
}

/// Whose examples a picture is most like. Pictures are directions whose dot product is their likeness; a feature is the
/// mean of its examples' directions, scaled to length 1: else those of few kinds of examples would be like everything.
package struct Identification {
    private let own: [[Float]]
    private let ownMean: [Float]
    private let others: [[Float]]

    /// - Parameters:
    ///   - own: directions of the feature's examples.
    ///   - others: the same of each rival.
    package init(own: [[Float]], others: [[[Float]]]) {
        self.own = own
        ownMean = Self.mean(own)
        self.others = others.map(Self.mean)
    }

    /// Whether a direction is more like the own examples than like any rival's; nil without examples or without rivals.
    package func isOwn(_ direction: [Float]) -> Bool? {
        own.isEmpty || others.isEmpty ? nil : isNearest(ownMean, direction)
    }

    /// The same of each example when it is left out of its own; none for a single one.
    package var ownLeftOut: [Bool?] {
        guard own.count > 1, !others.isEmpty else { return [] }
        return own.indices.map { left in
            isNearest(Self.mean(own.indices.filter { $0 != left }.map { own[$0] }), own[left])
        }
    }

    private func isNearest(_ mean: [Float], _ direction: [Float]) -> Bool {
        let likeness = Measures.product(mean, direction)
        return others.allSatisfy { Measures.product($0, direction) < likeness }
    }

    private static func mean(_ directions: [[Float]]) -> [Float] { Measures.unit(Measures.mean(directions)) }
}

extension Measures {
    /// The numbers scaled to a length; zeros stay zeros.
    static func unit(_ values: [Float], length: Double = 1) -> [Float] {
        let norm = values.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
        return norm > 0 ? values.map { Float(Double($0) / norm * length) } : values
    }

    /// The share of pictures of the dataset whose noise is predicted no better than this one's, mean over time steps:
    /// 1 if none is easier, ½ for a middling picture, 0 if all are.
    ///
    /// - Parameters:
    ///   - errors: `[T]`.
    ///   - dataset: `[T][pictures]`.
    package static func naturalness(_ errors: [Float], among dataset: [[Float]]) -> Double {
        let shares = zip(errors, dataset).map { error, all in
            Double(all.count { $0 >= error }) / Double(max(1, all.count))
        }
        return mean(shares) ?? 0
    }

    /// The mean over results of the activation after a change ÷ before it; nil where none was active.
    package static func retention(before: [Float], after: [Float]) -> Double? {
        mean(zip(before, after).filter { $0.0 > 0 }.map { Double($1) / Double($0) })
    }

    /// A number as a share of the mean of others; nil if that is not positive.
    static func share(_ value: Double?, of values: [Float]) -> Double? {
        guard let value, let whole = mean(values.map { Double($0) }), whole > 0 else { return nil }
        return value / whole
    }

    /// The share of true ones, of those that can be told.
    static func share(of answers: [Bool?]) -> Double? { mean(answers.compactMap { $0 }.map { $0 ? 1 : 0 }) }
}
