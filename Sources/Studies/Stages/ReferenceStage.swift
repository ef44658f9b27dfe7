import Checkpoints
import Experiments
import Files
import Pictures
import Tensors
import WorkUnits

/// What the whole network makes of the dataset's pictures, which results are compared with. One unit per prompt: few
/// passes a picture, where drawing it took two a step.
///
/// A unit holds `reference.safetensors`, a `ResponseFile`.
struct ReferenceStage: WorkStage {
    let study: Study
    let name = StageName.reference.rawValue

    /// From little noise to much: above these a picture's details are gone, below there is nothing to predict.
    static let timesteps = [101, 301, 501, 701]

    func units() throws -> [WorkUnit<Prompt>] {
        try CaptureStage(study: study).units().map { captured in
            WorkUnit(
                id: captured.id,
                key: [
                    "version": 1, "captured": .string(captured.fingerprint),
                    "timesteps": .array(Self.timesteps.map(JSON.integer)),
                ], payload: captured.payload)
        }
    }

    /// Of all units' keys.
    func fingerprint() throws -> String { Fingerprint.of(.array(try units().map { .string($0.fingerprint) })) }

    func compute(_ unit: WorkUnit<Prompt>, into folder: String, partial: PartialUnit) throws {
        let capture = UnitStore(study: study.folder, stage: StageName.capture.rawValue)
        let responses = try (0..<study.settings.imagesPerPrompt).map { image in
            try partial.check()
            return try response("\(capture.folder(unit.id))/\(image).png")
        }
        try ResponseFile.write(responses, to: folder + "/reference.safetensors")
    }

    /// The response to a picture, of the dataset or of a dream.
    func response(_ path: String) throws -> NetworkResponse {
        try study.model.response(to: study.model.latent(of: PNG.read(path).bitmap), timesteps: Self.timesteps)
    }

    /// - Throws: `SimpleFailure(.stoppedEarly)` if pictures are missing: other shards may still be at them.
    func requireAll() throws {
        let store = UnitStore(study: study.folder, stage: name)
        let missing = try units().filter { store.state(of: $0) != .done }.count
        guard missing == 0 else {
            throw SimpleFailure(
                .stoppedEarly,
                "\(study.folder): \(missing) of \(study.prompts.count) prompts have no reference; "
                    + "run lvo study \(StageName.reference.command), all shards of it, and then this again")
        }
    }
}

/// What the reference stage has found, of all pictures. Activations stay in their files until they are asked for.
final class DatasetReference {
    /// Per time step, ascending.
    let errors: [[Float]]
    private let levels: [String]
    private let files: [ResponseFile]
    private let imagesPerPrompt: Int
    /// Per level and time step, over all pictures: `[T·D]`.
    private let means: [[Float]]

    init(_ study: Study) throws {
        let stage = ReferenceStage(study: study)
        try stage.requireAll()
        let store = UnitStore(study: study.folder, stage: stage.name)
        let pictures = study.settings.imagesPerPrompt
        files = try study.prompts.map {
            try ResponseFile(store.folder($0.id) + "/reference.safetensors", pictures: pictures)
        }
        imagesPerPrompt = pictures
        levels = files[0].levels
        let count = ReferenceStage.timesteps.count
        let all = try files.flatMap { try $0.errors() }
        errors = (0..<count).map { step in stride(from: step, to: all.count, by: count).map { all[$0] }.sorted() }
        means = try levels.map { [files] in try Self.means(files, $0, pictures: pictures) }
    }

    private static func means(_ files: [ResponseFile], _ level: String, pictures: Int) throws -> [Float] {
        var sums: [Double] = []
        for file in files {
            let values = try file.activations(level)
            if sums.isEmpty { sums = Array(repeating: 0, count: values.count / pictures) }
            for (i, value) in values.enumerated() { sums[i % sums.count] += Double(value) }
        }
        let count = Double(files.count * pictures)
        return sums.map { Float($0 / count) }
    }

    /// The direction of a dataset picture's activations, see `direction(of:without:)`; pictures are counted over prompts.
    func direction(ofPicture picture: Int, without layer: String) throws -> [Float] {
        try direction(of: picture % imagesPerPrompt, in: files[picture / imagesPerPrompt], without: layer)
    }

    /// The same of a picture that is not the dataset's, by its number in a file.
    func direction(of picture: Int, in file: ResponseFile, without layer: String) throws -> [Float] {
        try direction(without: layer) { try file.activations(levels[$0], of: picture) }
    }

    /// The activations of all levels but the one that ends with `layer`, the dataset's means taken off. Every level's
    /// numbers at a time step are scaled so that the dot product of two directions is the mean of their cosines.
    func direction(of response: NetworkResponse, without layer: String) -> [Float] {
        direction(without: layer) { Array(response.levels[$0].activations.joined()) }
    }

    private func direction(without layer: String, values: (_ level: Int) throws -> [Float]) rethrows -> [Float] {
        let layer = layer.hasPrefix("unet.") ? String(layer.dropFirst("unet.".count)) : layer
        // A layer inside a block is a part of it.
        let kept = levels.indices.filter { layer != levels[$0] && !layer.hasPrefix(levels[$0] + ".") }
        let steps = ReferenceStage.timesteps.count
        return try kept.flatMap { level -> [Float] in
            let values = try values(level)
            let width = values.count / steps
            return (0..<steps).flatMap { step in
                let part = (step * width..<(step + 1) * width).map { values[$0] - means[level][$0] }
                return Measures.unit(part, length: 1 / Double(kept.count * steps).squareRoot())
            }
        }
    }
}

extension Study {
    /// What the network makes of the dataset.
    ///
    /// - Throws: `SimpleFailure(.stoppedEarly)` if the stage has not been run.
    func reference() throws -> DatasetReference {
        if let known = knownReference { return known }
        let reference = try DatasetReference(self)
        knownReference = reference
        return reference
    }
}
