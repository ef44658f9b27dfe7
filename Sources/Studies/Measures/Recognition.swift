import Experiments
import Files
import Pictures

/// Whether a judge that is no part of the model sees in a result what the feature's strongest examples share.
struct Recognition {
    /// Of so many strongest examples …
    static let strongest = 12
    /// … at least so many must share a value.
    static let sharing = 10

    let study: Study
    /// Generations that have nothing to do with the feature.
    let others: [Int]

    /// The share of pictures in which the judge's first choice is the value that the examples share: of the results, of
    /// the examples themselves, and of the other generations. Nothing without a judge; null where no value is shared.
    func measures(_ subject: Subject, timestep: Int, results: [Bitmap]) throws -> [(name: String, value: Double?)] {
        guard let judge = try study.factorJudge() else { return [] }
        let analysis = try study.analysis(subject.site)
        let examples = analysis.examples(subject.index, step: analysis.nearestStep(timestep))
            .prefix(Self.strongest).map(\.generation)
        let factors = examples.map { study.picture(of: $0).prompt.factors }
        let shared = Measures.shared(factors, known: judge.classes, atLeast: Self.sharing)
        let capture = CaptureStage(study: study)
        func share(_ pictures: [Bitmap]) -> Double? {
            guard let shared else { return nil }
            return Measures.mean(
                pictures.compactMap { judge.choices($0) }.map { $0[shared.factor] == shared.value ? 1 : 0 })
        }
        func drawn(_ generations: [Int]) throws -> [Bitmap] {
            shared == nil ? [] : try generations.map { try PNG.read(capture.picturePath($0)).bitmap }
        }
        return [
            ("recognized", share(results)), ("recognized_of_examples", share(try drawn(examples))),
            ("recognized_of_others", share(try drawn(others))),
        ]
    }
}

extension Measures {
    /// The value of a factor known to a judge that most of the examples have, if enough of them have it. Of equally
    /// frequent ones the first factor by name.
    package static func shared(
        _ examples: [[String: String]], known classes: [String: [String]], atLeast least: Int
    ) -> (factor: String, value: String)? {
        var best: (factor: String, value: String, count: Int)?
        for (factor, values) in classes.sorted(by: { $0.key < $1.key }) {
            for value in values {
                let count = examples.count { $0[factor] == value }
                if count >= least, count > best?.count ?? 0 { best = (factor, value, count) }
            }
        }
        return best.map { ($0.factor, $0.value) }
    }
}

extension Study {
    /// The judge, if the prompts come with factors that it knows.
    func factorJudge() throws -> (any PictureJudge)? {
        let names = Set(prompts.flatMap(\.factors.keys))
        guard !names.isEmpty, let judge = try model.judge(), !names.isDisjoint(with: judge.classes.keys) else { return nil }
        return judge
    }
}
