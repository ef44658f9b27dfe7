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
        guard try study.factorJudge() != nil else { return [] }
        let share = try share(subject, timestep: timestep)
        let capture = CaptureStage(study: study)
        func drawn(_ generations: [Int]) throws -> [Bitmap] {
            try generations.map { try PNG.read(capture.picturePath($0)).bitmap }
        }
        return [
            ("recognized", share(results)),
            ("recognized_of_examples", share(try drawn(examples(subject, timestep: timestep)))),
            ("recognized_of_others", share(try drawn(others))),
        ]
    }

    /// The share of pictures in which the judge's first choice is what the examples share; nil without a judge or where
    /// nothing is shared.
    func share(_ subject: Subject, timestep: Int) throws -> ([Bitmap]) -> Double? {
        let factors = try examples(subject, timestep: timestep).map { study.picture(of: $0).prompt.factors }
        guard let judge = try study.factorJudge(),
            let shared = Measures.shared(factors, known: judge.classes, atLeast: Self.sharing)
        else { return { _ in nil } }
        return { pictures in
            Measures.mean(pictures.compactMap { judge.choices($0) }.map { $0[shared.factor] == shared.value ? 1 : 0 })
        }
    }

    private func examples(_ subject: Subject, timestep: Int) throws -> [Int] {
        let analysis = try study.analysis(subject.site)
        return analysis.examples(subject.index, step: analysis.nearestStep(timestep))
            .prefix(Self.strongest).map(\.generation)
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
