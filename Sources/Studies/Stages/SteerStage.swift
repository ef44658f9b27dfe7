import Experiments
import Files
import Pictures
import Tensors
import WorkUnits

/// Pictures of the dataset in which a channel or feature was not active, drawn again from the same seeds with it added.
/// One unit per subject that has dreams:
///
///     0.png, 1.png, …            in the order of `pictures`
///     reference.safetensors      what the whole network makes of them (without steering), a `ResponseFile`
///
/// A partial unit holds the first of the pictures.
struct SteerStage: WorkStage {
    let study: Study
    let name = StageName.steer.rawValue

    func units() throws -> [WorkUnit<Subject>] {
        let captured = try CaptureStage(study: study).fingerprint()
        return try study.subjects().filter { try !study.timesteps($0).isEmpty }.map { try unit($0, captured: captured) }
    }

    /// - Parameter captured: the capture stage's fingerprint.
    func unit(_ subject: Subject, captured: String) throws -> WorkUnit<Subject> {
        let strength = try strength(subject)
        return WorkUnit(
            id: subject.path,
            key: [
                "version": 1, "subject": .string(subject.path), "captured": .string(captured),
                "autoencoder": try study.model.identity(of: subject.site),
                "timesteps": .array(strength.timesteps.map(JSON.integer)),
                "strengths": .array(strength.strengths.map { JSON.float($0) }),
                "pictures": .array(try pictures(subject).map(JSON.integer)),
                "reference": .array(ReferenceStage.timesteps.map(JSON.integer)),
            ], payload: subject)
    }

    func compute(_ unit: WorkUnit<Subject>, into folder: String, partial: PartialUnit) throws {
        let (subject, pictures, strength) = (unit.payload, try pictures(unit.payload), try strength(unit.payload))
        var drawn = try partial.kept.map { try kept($0, among: pictures.count) } ?? []
        do {
            for picture in pictures.dropFirst(drawn.count) {
                let (prompt, seed) = source(picture)
                drawn.append(
                    try study.model.steered(
                        subject, prompt: prompt.text, seed: seed, strength: strength, settings: study.settings.capture,
                        check: partial.check
                    ).picture)
            }
        } catch let failure as any Failure where failure.kind == .stoppedEarly {
            if !drawn.isEmpty { try partial.keep { try write(drawn, of: unit, to: $0) } }
            throw failure
        }
        try write(drawn, of: unit, to: folder)
        let responses = try pictures.indices.map {
            try partial.check()
            return try ReferenceStage(study: study).response("\(folder)/\($0).png")
        }
        try ResponseFile.write(responses, to: folder + "/reference.safetensors")
    }

    private func write(_ drawn: [Bitmap], of unit: WorkUnit<Subject>, to folder: String) throws {
        let sources = try pictures(unit.payload).map(source)
        for (index, (picture, source)) in zip(drawn, sources).enumerated() {
            let text = [
                PNGText("lvo", unit.key.serialized()), PNGText("prompt", source.prompt.text),
                PNGText("seed", "\(source.seed)"),
            ]
            try PNG.write(picture, text: text, to: "\(folder)/\(index).png")
        }
    }

    private func kept(_ folder: String, among count: Int) throws -> [Bitmap] {
        try (0..<count).map { "\(folder)/\($0).png" }.filter(FileSystem.isFile).map { try PNG.read($0).bitmap }
    }

    private func strength(_ subject: Subject) throws -> SteeringStrength {
        try study.steering(subject, scale: study.settings.steeringStrength(subject.site.space))
    }

    /// What a picture of the dataset was drawn from.
    func source(_ picture: Int) -> (prompt: Prompt, seed: Int) {
        let (prompt, image, _) = study.picture(of: picture * study.halvesPerPicture)
        return (prompt, prompt.seed(study: study.settings.seed, image: image))
    }

    /// What the network makes of the steered pictures.
    ///
    /// - Throws: `SimpleFailure(.missingInput)` if they have not been drawn.
    func responses(_ subject: Subject) throws -> ResponseFile {
        let unit = try unit(subject, captured: CaptureStage(study: study).fingerprint())
        return try ResponseFile(
            study.folder(of: unit, in: .steer) + "/reference.safetensors", pictures: pictures(subject).count)
    }

    /// Numbers of the dataset's pictures in which the subject was among the strongest at the fewest time steps: at none, but
    /// for channels that always are. Of equal ones those that its number draws.
    func pictures(_ subject: Subject) throws -> [Int] {
        let analysis = try study.analysis(subject.site)
        var active = [Int](repeating: 0, count: study.prompts.count * study.settings.imagesPerPrompt)
        for step in analysis.timesteps.indices {
            for example in analysis.examples(subject.index, step: step) {
                active[example.generation / study.halvesPerPicture] += 1
            }
        }
        let random = CounterRandom(
            seed: UInt64(study.settings.seed), purpose: .selection, unit: UInt64(subject.index), step: 2)
        let order = random.permutation(active.count).enumerated().sorted {
            (active[$0.element], $0.offset) < (active[$1.element], $1.offset)
        }
        return order.prefix(study.settings.steeredPictures).map(\.element)
    }

    /// Where the dataset's picture is, and where the one that repeats it with the subject added.
    ///
    /// - Throws: `SimpleFailure(.missingInput)` if they have not been drawn.
    func pairs(_ subject: Subject) throws -> [(without: String, with: String)] {
        let capture = CaptureStage(study: study)
        let folder = try study.folder(of: unit(subject, captured: capture.fingerprint()), in: .steer)
        return try pictures(subject).enumerated().map { index, picture in
            (capture.picturePath(picture * study.halvesPerPicture), "\(folder)/\(index).png")
        }
    }
}
