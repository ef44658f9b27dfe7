import Checkpoints
import Foundation
import Pictures
import Tensors

/// Draws every prompt's pictures and records what the layers do at every time step. One unit per prompt.
///
/// A unit holds `0.png`, `1.png`, … and `activations.safetensors`: `LAYER/SPACE [G, T, D]`, G generations (pictures,
/// times halves), T observed time steps, ascending, named in the metadata.
struct CaptureStage: StudyStage {
    let study: Study
    let name = "capture"

    func units() throws -> [WorkUnit] {
        let settings = study.settings
        let sites = try study.sites.map { site -> JSON in
            [.string(site.path), try study.model.identity(of: site)]
        }
        let common: JSON = [
            "version": 1, "model": try study.model.identity(), "sites": .array(sites),
            "settings": settings.values.section("capture"), "seed": .integer(settings.seed),
        ]
        let fingerprint = Fingerprint.of(common)
        return study.prompts.map { prompt in
            WorkUnit(id: prompt.id, key: ["prompt": .string(prompt.text), "common": .string(fingerprint)])
        }
    }

    func compute(_ unit: WorkUnit, into folder: String) throws {
        guard let prompt = study.prompts.first(where: { $0.id == unit.id }) else {
            throw SimpleFailure(.internalError, "\(unit.id): no such prompt")
        }
        var all: [Site: [Float]] = [:]
        var timesteps: [Int] = []
        for image in 0..<study.settings.imagesPerPrompt {
            let seed = prompt.seed(study: study.settings.seed, image: image)
            let captured = try study.model.capture(
                prompt: prompt.text, seed: seed, settings: study.settings.capture, sites: study.sites,
                halves: study.settings.halves)
            try PNG.write(
                captured.picture, text: [PNGText("prompt", prompt.text), PNGText("seed", "\(seed)")],
                to: "\(folder)/\(image).png")
            timesteps = captured.timesteps
            for (site, halves) in captured.activations { all[site, default: []] += halves.flatMap { $0 } }
        }
        let generations = study.settings.imagesPerPrompt * study.halvesPerPicture
        let tensors = study.sites.map { site -> (name: String, tensor: Tensor) in
            let values = all[site] ?? []
            let width = values.count / max(1, generations * timesteps.count)
            return (site.path, Tensor([generations, timesteps.count, width], values))
        }
        try SafetensorsWriter.write(
            tensors, metadata: ["timesteps": timesteps.map(String.init).joined(separator: ",")],
            to: folder + "/activations.safetensors")
    }

    /// What a prompt's unit recorded of a site: `[G, T, D]` and the time steps.
    func recorded(_ prompt: Prompt, _ site: Site) throws -> (activations: Weight, timesteps: [Int]) {
        let path = UnitStore(study: study.folder, stage: name).folder(prompt.id) + "/activations.safetensors"
        let file = try SafetensorsFile(path: path)
        let timesteps = (file.metadata["timesteps"] ?? "").split(separator: ",").compactMap { Int($0) }
        let activations = try file.weight(site.path)
        guard activations.shape.count == 3, activations.shape[1] == timesteps.count else {
            throw SimpleFailure(
                .badData,
                "\(path): \(site.path) has shape \(activations.shape) for \(timesteps.count) time steps")
        }
        return (activations, timesteps)
    }

    /// The position-averaged activations of one generation at the observed time step nearest to `timestep`.
    func activation(of generation: Int, _ site: Site, timestep: Int) throws -> [Float] {
        let perPrompt = study.settings.imagesPerPrompt * study.halvesPerPicture
        let (activations, timesteps) = try recorded(study.prompts[generation / perPrompt], site)
        let step = timesteps.indices.min { abs(timesteps[$0] - timestep) < abs(timesteps[$1] - timestep) } ?? 0
        let width = activations.shape[2]
        let start = ((generation % perPrompt) * timesteps.count + step) * width
        return (start..<start + width).map { activations.bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self) }
    }

    /// Where a generation's picture is.
    func picturePath(_ generation: Int) -> String {
        let (prompt, image, _) = study.picture(of: generation)
        return UnitStore(study: study.folder, stage: name).folder(prompt.id) + "/\(image).png"
    }
}
