import Checkpoints
import Experiments
import Files
import Foundation
import Tensors
import WorkUnits

/// What measured dreams look like to the layers that were not optimized: the mean over a dream's results of the directions
/// that identification compares. Since those have length 1, the product of two means is the mean of the cosines.
struct DreamDirections {
    /// So many other features tell what is chance.
    static let others = 15
    private static let file = "direction.safetensors"

    let study: Study

    /// - Parameter directions: of a dream's results, `[S][n]`.
    static func write(_ directions: [[Float]], to folder: String) throws {
        let mean = Measures.mean(directions)
        try SafetensorsWriter.write([("direction", Tensor([mean.count], mean))], to: "\(folder)/\(file)")
    }

    /// How alike a subject's dreams at its different time steps are, and how alike other subjects' dreams at other time
    /// steps are to them; nothing of fewer than two measured dreams.
    ///
    /// - Parameter all: the subjects that have dreams, of any site.
    func constancy(of subject: Subject, among all: [Subject]) throws -> [(name: String, value: Double?)] {
        let own = try directions(of: subject)
        guard own.count > 1 else { return [] }
        let others = all.filter { $0.site == subject.site && $0 != subject }
        let random = CounterRandom(
            seed: UInt64(study.settings.seed), purpose: .selection, unit: UInt64(subject.index), step: 2)
        let drawn = random.permutation(others.count).prefix(Self.others).map { others[$0] }
        let ofOthers = try drawn.map { Measures.constancy(own, with: try directions(of: $0)) }
        return [
            ("constancy", Measures.constancy(own, with: own)),
            ("constancy_of_others", Measures.mean(ofOthers.compactMap { $0 })),
        ]
    }

    /// By time step, of the dreams that are measured.
    private func directions(of subject: Subject) throws -> [Int: [Float]] {
        let store = UnitStore(study: study.folder, stage: StageName.measure.rawValue)
        var found: [Int: [Float]] = [:]
        for dream in try study.dreamSubjects(of: subject) {
            let path = "\(store.folder(dream.path))/\(Self.file)"
            guard FileManager.default.fileExists(atPath: path) else { continue }
            found[dream.timestep] = try TensorFile.read(path, name: "direction").array
        }
        return found
    }
}

extension Measures {
    /// The mean product over pairs of different time steps.
    ///
    /// - Parameters:
    ///   - a: directions by time step.
    ///   - b: the same of another subject, or of the same.
    package static func constancy(_ a: [Int: [Float]], with b: [Int: [Float]]) -> Double? {
        mean(
            a.sorted { $0.key < $1.key }.flatMap { own in
                b.sorted { $0.key < $1.key }.filter { $0.key != own.key }.map { product(own.value, $0.value) }
            })
    }

    /// The mean product over pairs of directions; nil for fewer than two.
    static func likeness(_ directions: [[Float]]) -> Double? {
        mean(directions.indices.flatMap { i in (i + 1..<directions.count).map { product(directions[i], directions[$0]) } })
    }

    static func product(_ a: [Float], _ b: [Float]) -> Double {
        zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }

    /// Element by element; empty of none.
    static func mean(_ vectors: [[Float]]) -> [Float] {
        guard let first = vectors.first else { return [] }
        var sums = [Float](repeating: 0, count: first.count)
        for vector in vectors { for i in sums.indices { sums[i] += vector[i] / Float(vectors.count) } }
        return sums
    }
}
