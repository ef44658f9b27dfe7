import Checkpoints
import Experiments
import Files
import Pictures
import Tensors
import WorkUnits

/// Optimization of latents for a subject at a time step. One unit per subject, time step and way:
///
///     latents.safetensors   latent [S, 4, h, w]: the final ones, in the order of the seeds
///     SEED.png              the final pictures
///     history.png           a column per snapshot, a row per seed, at most 256 pixels each way
///     animation.png         the same as an animated PNG, if wanted
///     course.json           a record per seed as `lvo dream` writes it (without times), steps of the snapshots, the
///                           command that makes them again in the study's folder
///
/// A partial unit holds `state.safetensors`: what the optimization continues from.
struct DreamStage: WorkStage {
    let study: Study
    let name = StageName.dream.rawValue

    private static let historyCell = 256

    func units() throws -> [WorkUnit<DreamSubject>] { try study.dreamSubjects().map(unit) }

    func unit(_ dream: DreamSubject) throws -> WorkUnit<DreamSubject> {
        let (subject, timestep) = (dream.subject, dream.timestep)
        let settings = study.settings(of: dream)
        let start: JSON = switch settings.start {
        case .noise: "noise"
        case .prior: .string(try PriorStage(study: study).unit(subject).fingerprint)
        case .pool: try SearchStage(study: study).startKey(subject.site)
        }
        return WorkUnit(
            id: dream.path,
            key: [
                "version": 2, "subject": .string(subject.path), "timestep": .integer(timestep),
                "model": try study.model.identity(), "autoencoder": try study.model.identity(of: subject.site),
                "start": start, "seeds": .array(study.settings.dreamSeeds.map(JSON.integer)),
                "prompt": settings.promptKey, "parameters": settings.parameters,
                "snapshot_every": .integer(settings.snapshotEvery), "animation": .bool(settings.animation),
                "where": try study.identity(of: study.settings.place(subject.site.space)), "size": study.sizeKey,
            ], payload: dream)
    }

    func compute(_ unit: WorkUnit<DreamSubject>, into folder: String, partial: PartialUnit) throws {
        let subject = unit.payload.subject
        let settings = study.settings(of: unit.payload)
        let seeds = study.settings.dreamSeeds
        let start: DreamStart = switch settings.start {
        case .noise: .noise
        case .prior: try PriorStage(study: study).start(subject)
        case .pool: try SearchStage(study: study).start(unit.payload)
        }
        let course = try study.model.dream(
            subject, timestep: unit.payload.timestep, settings: settings, seeds: seeds, start: start,
            size: study.settings.capture, state: try partial.kept.map(Self.kept)
        ) { state in
            guard partial.mustStop else { return }
            try partial.keep { try SafetensorsWriter.write(state(), to: $0 + "/state.safetensors") }
            try partial.check()
        }
        try SafetensorsWriter.write([("latent", course.latents)], to: folder + "/latents.safetensors")
        for (index, picture) in (course.snapshots.last ?? []).enumerated() {
            let text = course.texts.indices.contains(index) ? course.texts[index] : []
            try PNG.write(picture, text: text, to: "\(folder)/\(seeds[index]).png")
        }
        let cells = course.snapshots.map { $0.map { $0.fitting(width: Self.historyCell, height: Self.historyCell) } }
        try PNG.write(Self.sheet(columns: cells), to: folder + "/history.png")
        if settings.animation {
            let frames = cells.map { Self.sheet(columns: $0.map { [$0] }) }
            try APNG.write(frames, milliseconds: 180, lastMilliseconds: 1500, to: folder + "/animation.png")
        }
        try course.json.write(to: folder + "/course.json", overwrite: false)
    }

    /// The results of a dream, `[S, 4, h, w]`, in the order of the seeds.
    func latents(_ dream: DreamSubject) throws -> Tensor {
        try TensorFile.read(study.folder(of: unit(dream), in: .dream) + "/latents.safetensors", name: "latent")
    }

    private static func kept(_ folder: String) throws -> [String: Tensor] {
        let weights = try SafetensorsFile(path: folder + "/state.safetensors").weights
        return Dictionary(uniqueKeysWithValues: weights.map { ($0.name, Tensor($0.shape, $0.floats())) })
    }

    /// Pictures of one size side by side without gaps, columns from the left.
    static func sheet(columns: [[Bitmap]]) -> Bitmap {
        let (width, height) = (columns[0][0].width, columns[0][0].height)
        var sheet = Bitmap(
            width: width * columns.count, height: height * columns[0].count, red: 0, green: 0, blue: 0)
        for (x, column) in columns.enumerated() {
            for (y, picture) in column.enumerated() { sheet.draw(picture, x: x * width, y: y * height) }
        }
        return sheet
    }
}
