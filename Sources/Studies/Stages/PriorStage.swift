import Checkpoints
import Pictures
import Tensors

/// Steered generation from the empty prompt: what a channel or feature causes, and latents for dreams to start from.
/// One unit per subject: `latents.safetensors` (`latent [S, 4, h, w]`) and `SEED.png`.
struct PriorStage: StudyStage {
    let study: Study
    let name = "prior"

    func units() throws -> [WorkUnit] { try study.subjects().map(unit) }

    /// The key holds what steers, not where it came from: more prompts leave a prior valid if they change neither.
    func unit(_ subject: Subject) throws -> WorkUnit {
        let settings = study.settings
        let strength = try strength(subject)
        return WorkUnit(
            id: subject.path,
            key: [
                "version": 1, "subject": .string(subject.path), "model": try study.model.identity(),
                "autoencoder": try study.model.identity(of: subject.site),
                "timesteps": .array(strength.timesteps.map(JSON.integer)),
                "strengths": .array(strength.strengths.map { JSON.float($0) }),
                "seeds": .array(settings.priorSeeds.map(JSON.integer)), "steps": .integer(settings.prior.steps),
                "sampler": .string(settings.prior.sampler ?? "model"), "size": study.sizeKey,
            ])
    }

    func compute(_ unit: WorkUnit, into folder: String) throws {
        let subject = try study.subject(unit.id)
        let strength = try strength(subject)
        var latents: [Float] = []
        var shape: [Int] = []
        for seed in study.settings.priorSeeds {
            let drawn = try study.model.prior(subject, seed: seed, strength: strength, settings: study.settings.prior)
            latents += drawn.latent.array
            shape = Array(drawn.latent.shape.dropFirst())
            try PNG.write(
                drawn.picture, text: [PNGText("lvo", unit.key.serialized()), PNGText("seed", "\(seed)")],
                to: "\(folder)/\(seed).png")
        }
        try SafetensorsWriter.write(
            [("latent", Tensor([study.settings.priorSeeds.count] + shape, latents))],
            to: folder + "/latents.safetensors")
    }

    /// The largest activation at each observed time step times the scale, where the subject is active; 0 elsewhere.
    private func strength(_ subject: Subject) throws -> SteeringStrength {
        let analysis = try study.analysis(subject.site)
        let scale = Float(study.settings.priorStrength(subject.site.space))
        let counts = analysis.profile(subject.index).counts
        let strengths = zip(analysis.maxActivation(subject.index), counts).map { $1 > 0 ? $0 * scale : 0 }
        return SteeringStrength(timesteps: analysis.timesteps, strengths: strengths)
    }

    /// A prior's latents `[S, 4, h, w]`, in the order of the seeds.
    func latents(_ subject: Subject) throws -> Tensor {
        let store = UnitStore(study: study.folder, stage: name)
        let unit = try unit(subject)
        guard store.state(of: unit) == .done else {
            throw SimpleFailure(.missingInput, "\(store.folder(unit.id)): no valid prior to start from; run lvo study prior")
        }
        let weight = try SafetensorsFile(path: store.folder(unit.id) + "/latents.safetensors").weight("latent")
        return Tensor(weight.shape, weight.floats())
    }
}

extension Study {
    /// The subject of a path such as `up_blocks.1.attentions.1/features/00742`.
    func subject(_ path: String) throws -> Subject {
        let parts = path.split(separator: "/")
        guard parts.count >= 3, let space = Space(rawValue: String(parts[1])), let index = Int(parts[2]) else {
            throw SimpleFailure(.internalError, "\(path): not a subject")
        }
        return Subject(site: Site(layer: String(parts[0]), space: space), index: index)
    }

    var sizeKey: JSON {
        [.integer(settings.capture.width ?? 0), .integer(settings.capture.height ?? 0)]
    }
}
