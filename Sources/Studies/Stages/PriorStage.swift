import Checkpoints
import Experiments
import Files
import Pictures
import Tensors
import Visualization
import WorkUnits

/// Steered generation from the empty prompt: what a channel or feature causes, and latents for dreams to start from.
/// One unit per subject: `latents.safetensors` (`latent [S, 4, h, w]`) and `SEED.png`. A partial unit holds the same of
/// fewer seeds.
struct PriorStage: WorkStage {
    let study: Study
    let name = StageName.prior.rawValue

    func units() throws -> [WorkUnit<Subject>] { try study.subjects().map(unit) }

    /// The key holds what steers, not where it came from: more prompts leave a prior valid if they change neither.
    func unit(_ subject: Subject) throws -> WorkUnit<Subject> {
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
            ], payload: subject)
    }

    func compute(_ unit: WorkUnit<Subject>, into folder: String, partial: PartialUnit) throws {
        let subject = unit.payload
        let strength = try strength(subject)
        var drawn = try partial.kept.map(kept) ?? []
        do {
            for seed in study.settings.priorSeeds.dropFirst(drawn.count) {
                drawn.append(
                    try study.model.steered(
                        subject, prompt: "", seed: seed, strength: strength, settings: study.settings.prior,
                        check: partial.check))
            }
        } catch let failure as any Failure where failure.kind == .stoppedEarly {
            if !drawn.isEmpty { try partial.keep { try write(drawn, of: unit, to: $0) } }
            throw failure
        }
        try write(drawn, of: unit, to: folder)
    }

    private typealias Drawn = (latent: Tensor, picture: Bitmap)

    private func write(_ priors: [Drawn], of unit: WorkUnit<Subject>, to folder: String) throws {
        for (seed, prior) in zip(study.settings.priorSeeds, priors) {
            try PNG.write(
                prior.picture, text: [PNGText("lvo", unit.key.serialized()), PNGText("seed", "\(seed)")],
                to: "\(folder)/\(seed).png")
        }
        let shape = [priors.count] + priors[0].latent.shape.dropFirst()
        try SafetensorsWriter.write(
            [("latent", Tensor(shape, priors.flatMap { $0.latent.array }))], to: folder + "/latents.safetensors")
    }

    /// The priors of a partial unit.
    private func kept(_ folder: String) throws -> [Drawn] {
        let weight = try SafetensorsFile(path: folder + "/latents.safetensors").weight("latent")
        let latents = Tensor(weight.shape, weight.floats())
        return try zip(study.settings.priorSeeds, 0..<weight.shape[0]).map { seed, index in
            (latents.slice(index..<index + 1).copy(), try PNG.read("\(folder)/\(seed).png").bitmap)
        }
    }

    private func strength(_ subject: Subject) throws -> SteeringStrength {
        try study.steering(subject, scale: study.settings.priorStrength(subject.site.space))
    }

    /// A prior's latents `[S, 4, h, w]`, in the order of the seeds.
    func latents(_ subject: Subject) throws -> Tensor {
        try TensorFile.read(study.folder(of: unit(subject), in: .prior) + "/latents.safetensors", name: "latent")
    }

    /// The priors as a dream starts from them; the path is relative to the study.
    func start(_ subject: Subject) throws -> DreamStart {
        .latents(try latents(subject), file: "\(name)/\(subject.path)/latents.safetensors")
    }
}

extension Study {
    /// The largest activation at each observed time step times the scale, where the subject is active; 0 elsewhere.
    func steering(_ subject: Subject, scale: Double) throws -> SteeringStrength {
        let analysis = try analysis(subject.site)
        let counts = analysis.profile(subject.index).counts
        let strengths = zip(analysis.maxActivation(subject.index), counts).map { $1 > 0 ? $0 * Float(scale) : 0 }
        return SteeringStrength(timesteps: analysis.timesteps, strengths: strengths)
    }
}
