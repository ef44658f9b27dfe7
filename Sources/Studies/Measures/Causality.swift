import Pictures
import WorkUnits

/// Whether adding the feature to pictures changes them toward what its dreams show.
struct Causality {
    let study: Study
    private let stage: SteerStage

    init(_ study: Study) {
        self.study = study
        stage = SteerStage(study: study)
    }

    /// `causal_effect` and `steered_recognized`: the judge's share in steered pictures, and what of it the same pictures
    /// have without steering. Nothing without a judge.
    ///
    /// - Parameter share: of pictures that are recognized; nil without a judge.
    func recognized(_ subject: Subject, _ share: (([Bitmap]) -> Double?)?) throws -> [(name: String, value: Double?)] {
        guard let share else { return [] }
        let pairs = try stage.pairs(subject)
        let steered = share(try pairs.map { try PNG.read($0.with).bitmap })
        let plain = share(try pairs.map { try PNG.read($0.without).bitmap })
        return [("causal_effect", steered.flatMap { steered in plain.map { steered - $0 } }), ("steered_recognized", steered)]
    }

    /// `causal_likeness`, and the same toward the examples of rivals.
    ///
    /// - Parameters:
    ///   - dreams: directions of the results.
    ///   - rivals: of each rival, the directions of its examples.
    func likeness(
        _ subject: Subject, dreams: [[Float]], rivals: [[[Float]]]
    ) throws -> [(name: String, value: Double?)] {
        let (reference, layer) = (try study.reference(), subject.site.layer)
        let steered = try stage.responses(subject)
        let pairs = try stage.pictures(subject).enumerated().map { index, picture in
            (
                without: try reference.direction(ofPicture: picture, without: layer),
                with: try reference.direction(of: index, in: steered, without: layer)
            )
        }
        let ofOthers = rivals.compactMap { Measures.shareNearer(pairs, to: $0) }
        return [
            ("causal_likeness", Measures.shareNearer(pairs, to: dreams)),
            ("causal_likeness_of_others", Measures.mean(ofOthers)),
        ]
    }
}

extension Measures {
    /// The share of pairs whose second is more like the mean of some directions than the first; equal ones count half.
    /// Nil without pairs or directions.
    package static func shareNearer(
        _ pairs: [(without: [Float], with: [Float])], to directions: [[Float]]
    ) -> Double? {
        guard !directions.isEmpty else { return nil }
        let goal = mean(directions)
        return mean(
            pairs.map { pair in
                let (before, after) = (product(goal, pair.without), product(goal, pair.with))
                return after > before ? 1 : after == before ? 0.5 : 0
            })
    }
}
