import Files
import Pictures
import WorkUnits

/// What a dream owes to where it started, if that was a picture that the model drew by itself: the picture's own activation
/// and what it shows, from the dream's record and the first column of its history.
struct NaturalStart {
    /// a(z), per seed.
    let activations: [Float]
    /// Per seed.
    let pictures: [Bitmap]

    /// Nil unless dreams made this way start from the pool.
    ///
    /// - Throws: a `Failure` for a dream's files that are not what the stage writes.
    init?(_ dream: DreamSubject, in folder: String, study: Study) throws {
        guard study.settings(of: dream).start == .pool else { return nil }
        let record = try JSON.read(folder + "/course.json")
        let sheet = try PNG.read(folder + "/history.png").bitmap
        let count = study.settings.dreamSeeds.count
        guard let results = record["results"]?.array, results.count == count,
            let columns = record["snapshots"]?.array?.count, columns > 0, sheet.width % columns == 0, sheet.height % count == 0
        else { throw FileFailure.malformed(file: folder + "/course.json", reason: "it does not fit history.png") }
        activations = try results.map {
            guard let activation = $0["start_activation"]?.double else {
                throw FileFailure.malformed(file: folder + "/course.json", reason: "a result without start_activation")
            }
            return Float(activation)
        }
        let (width, height) = (sheet.width / columns, sheet.height / count)
        pictures = (0..<count).map { sheet.part(x: 0, y: $0 * height, width: width, height: height) }
    }

    /// `start_reach` and `start_recognized`: what `reach` and `recognized` are for the starts.
    ///
    /// - Parameter share: of pictures that are recognized.
    func measures(largest: Float, recognized share: ([Bitmap]) -> Double?) -> [(name: String, value: Double?)] {
        [
            ("start_reach", Measures.mean(activations.compactMap { Measures.reach(activation: $0, largest: largest) })),
            ("start_recognized", share(pictures)),
        ]
    }
}
