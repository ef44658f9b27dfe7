import Checkpoints
import Experiments
import Files
import Pictures
import Tensors
import WorkUnits

/// Where in its examples and its dreams a subject is active. One unit per subject that has dreams:
///
///     maps.safetensors   examples [T, E, h, w]   those that the gallery shows, in its order
///                        dreams [T, S, h, w]     the results, in the order of the seeds
///
/// Activations at each position of the layer's map, under fresh noise of T time steps: those of the dreams, ascending.
/// An example is encoded from its picture and looked at under its own text, a dream under the dream's.
struct MapStage: WorkStage {
    let study: Study
    let name = StageName.map.rawValue
    private static let file = "maps.safetensors"

    func units() throws -> [WorkUnit<Subject>] {
        let captured = try CaptureStage(study: study).fingerprint()
        return try study.subjects().filter { try !study.timesteps($0).isEmpty }.map { try unit($0, captured: captured) }
    }

    private func unit(_ subject: Subject, captured: String) throws -> WorkUnit<Subject> {
        let dreams = DreamStage(study: study)
        return WorkUnit(
            id: subject.path,
            key: [
                "version": 1, "captured": .string(captured),
                "examples": .array(try examples(subject).map(JSON.integer)),
                "dreams": .array(try study.dreamSubjects(of: subject).map { .string(try dreams.unit($0).fingerprint) }),
                "noise_draws": .integer(study.settings.mapDraws),
            ], payload: subject)
    }

    func compute(_ unit: WorkUnit<Subject>, into folder: String, partial: PartialUnit) throws {
        let subject = unit.payload
        let examples = try examples(subject)
        let capture = CaptureStage(study: study)
        let latents = try examples.map { example in
            try partial.check()
            return try study.model.latent(of: PNG.read(capture.picturePath(example)).bitmap)
        }
        let texts = examples.map(text)
        let settings = study.settings.dream(subject.site.space)
        let own = TextSource(prompt: settings.prompt, emphasis: settings.emphasis)
        var (ofExamples, ofDreams): ([Tensor], [Tensor]) = ([], [])
        for dream in try study.dreamSubjects(of: subject) {
            let results = try DreamStage(study: study).latents(dream)
            let single = (0..<results.shape[0]).map { results.slice($0..<$0 + 1) }
            ofExamples += try maps(latents, texts, dream, partial)
            ofDreams += try maps(single, single.map { _ in own }, dream, partial)
        }
        let steps = try study.timesteps(subject).count
        try SafetensorsWriter.write(
            [("examples", Self.stacked(ofExamples, steps)), ("dreams", Self.stacked(ofDreams, steps))],
            to: "\(folder)/\(Self.file)")
    }

    /// Maps `[h, w]`, one per latent; as many at once as the dreams had, for whom there was memory.
    private func maps(
        _ latents: [Tensor], _ texts: [TextSource], _ dream: DreamSubject, _ partial: PartialUnit
    ) throws -> [Tensor] {
        let batch = max(1, study.settings.dreamSeeds.count)
        return try stride(from: 0, to: latents.count, by: batch).flatMap { start -> [Tensor] in
            try partial.check()
            let range = start..<min(start + batch, latents.count)
            let joined = Tensor([range.count] + latents[start].shape[1...], latents[range].flatMap(\.array))
            let maps = try study.model.maps(
                of: joined, dream.subject, texts: Array(texts[range]), timestep: dream.timestep,
                draws: study.settings.mapDraws)
            return (0..<range.count).map { maps.slice($0..<$0 + 1).reshaped(Array(maps.shape[1...])) }
        }
    }

    /// `[T, B, h, w]`; `[T, 0]` of nothing.
    private static func stacked(_ maps: [Tensor], _ steps: Int) -> Tensor {
        guard let first = maps.first else { return Tensor([steps, 0], []) }
        return Tensor([steps, maps.count / steps] + first.shape, maps.flatMap(\.array))
    }

    /// The generations that the gallery shows.
    private func examples(_ subject: Subject) throws -> [Int] {
        let analysis = try study.analysis(subject.site)
        return analysis.examples(subject.index, step: analysis.exampleStep(subject.index))
            .prefix(study.settings.shownExamples).map(\.generation)
    }

    /// What the layer was under in the recorded half of guidance.
    private func text(_ generation: Int) -> TextSource {
        let (prompt, _, half) = study.picture(of: generation)
        let isUnconditional = study.settings.halves == "unconditional" || (study.settings.halves == "both" && half == 0)
        let capture = study.settings.capture
        return TextSource(prompt: isUnconditional ? capture.negativePrompt : prompt.text, emphasis: capture.emphasis)
    }
}

extension MapStage {
    /// What a unit has, for the gallery: a map per time step and picture.
    struct Maps {
        let examples: Tensor
        let dreams: Tensor
    }

    /// Nil if the unit is not done.
    func maps(_ subject: Subject) throws -> Maps? {
        let unit = try unit(subject, captured: CaptureStage(study: study).fingerprint())
        let store = UnitStore(study: study.folder, stage: name)
        guard store.state(of: unit) == .done else { return nil }
        let file = try SafetensorsFile(path: "\(store.folder(unit.id))/\(Self.file)")
        func tensor(_ name: String) throws -> Tensor {
            let weight = try file.weight(name)
            return Tensor(weight.shape, weight.floats())
        }
        return Maps(examples: try tensor("examples"), dreams: try tensor("dreams"))
    }
}
