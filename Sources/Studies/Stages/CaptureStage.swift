import Checkpoints
import Experiments
import Files
import Foundation
import Pictures
import Tensors
import WorkUnits

/// Draws every prompt's pictures and records what the layers do at every time step. One unit per prompt.
///
/// A unit holds `0.png`, `1.png`, … and `activations.safetensors`: `LAYER/SPACE [G, T, D]`, reduced over positions as the
/// dreams' objective is (`StudySettings.place`). G generations (pictures, times halves), T observed time steps, ascending,
/// named in the metadata. A partial unit holds the same of fewer pictures.
struct CaptureStage: WorkStage {
    let study: Study
    let name = StageName.capture.rawValue

    func units() throws -> [WorkUnit<Prompt>] {
        let settings = study.settings
        let sites = try study.sites.map { site -> JSON in
            let place = settings.place(site.space)
            // The mean is not named: pictures drawn before there was anything else stay valid.
            let rule = place == .mean ? [] : [try study.identity(of: place)]
            return .array([.string(site.path), try study.model.identity(of: site)] + rule)
        }
        var common = JSONObject()
        common["version"] = 1
        common["model"] = try study.model.identity()
        common["sites"] = .array(sites)
        common["settings"] = settings.values.section("capture")
        common["seed"] = .integer(settings.seed)
        // Only where it is wanted: results from before there was a choice stay valid.
        if settings.emphasis { common["emphasis"] = true }
        let fingerprint = Fingerprint.of(.object(common))
        return study.prompts.map { prompt in
            WorkUnit(
                id: prompt.id, key: ["prompt": .string(prompt.text), "common": .string(fingerprint)], payload: prompt)
        }
    }

    /// Of all units' keys.
    func fingerprint() throws -> String { Fingerprint.of(.array(try units().map { .string($0.fingerprint) })) }

    func compute(_ unit: WorkUnit<Prompt>, into folder: String, partial: PartialUnit) throws {
        let prompt = unit.payload
        var pictures = try partial.kept.map(kept) ?? []
        do {
            for image in pictures.count..<study.settings.imagesPerPrompt {
                pictures.append(
                    try study.model.capture(
                        prompt: prompt.text, seed: prompt.seed(study: study.settings.seed, image: image),
                        settings: study.settings.capture, sites: study.sites, places: study.settings.places,
                        halves: study.settings.halves, check: partial.check))
            }
        } catch let failure as any Failure where failure.kind == .stoppedEarly {
            if !pictures.isEmpty { try partial.keep { try write(pictures, of: prompt, to: $0) } }
            throw failure
        }
        try write(pictures, of: prompt, to: folder)
    }

    private func write(_ pictures: [CapturedPicture], of prompt: Prompt, to folder: String) throws {
        var all: [Site: [Float]] = [:]
        for (image, captured) in pictures.enumerated() {
            let seed = prompt.seed(study: study.settings.seed, image: image)
            try PNG.write(
                captured.picture, text: [PNGText("prompt", prompt.text), PNGText("seed", "\(seed)")],
                to: "\(folder)/\(image).png")
            for (site, halves) in captured.activations { all[site, default: []] += halves.flatMap { $0 } }
        }
        let timesteps = pictures[0].timesteps
        let generations = pictures.count * study.halvesPerPicture
        let tensors = study.sites.map { site -> (name: String, tensor: Tensor) in
            let values = all[site] ?? []
            let width = values.count / max(1, generations * timesteps.count)
            return (site.path, Tensor([generations, timesteps.count, width], values))
        }
        try SafetensorsWriter.write(
            tensors, metadata: ["timesteps": timesteps.map(String.init).joined(separator: ",")],
            to: folder + "/activations.safetensors")
    }

    /// The pictures of a partial unit.
    private func kept(_ folder: String) throws -> [CapturedPicture] {
        let halves = study.halvesPerPicture
        var timesteps: [Int] = []
        // Per picture.
        var activations: [[Site: [[Float]]]] = []
        for site in study.sites {
            let file = try recorded(folder, site)
            timesteps = file.timesteps
            let (values, size) = (file.activations.floats(), timesteps.count * file.activations.shape[2])
            let rows = (0..<file.activations.shape[0]).map { Array(values[$0 * size..<($0 + 1) * size]) }
            if activations.isEmpty { activations = Array(repeating: [:], count: rows.count / halves) }
            for image in activations.indices {
                activations[image][site] = Array(rows[image * halves..<(image + 1) * halves])
            }
        }
        return try activations.enumerated().map { image, activations in
            CapturedPicture(
                picture: try PNG.read("\(folder)/\(image).png").bitmap, timesteps: timesteps, activations: activations)
        }
    }

    /// What a prompt's unit recorded of a site: `[G, T, D]` and the time steps.
    func recorded(_ prompt: Prompt, _ site: Site) throws -> (activations: Weight, timesteps: [Int]) {
        try recorded(UnitStore(study: study.folder, stage: name).folder(prompt.id), site)
    }

    private func recorded(_ folder: String, _ site: Site) throws -> (activations: Weight, timesteps: [Int]) {
        let path = folder + "/activations.safetensors"
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

    /// The activations of one generation at the observed time step nearest to `timestep`.
    func activation(of generation: Int, _ site: Site, timestep: Int) throws -> [Float] {
        let perPrompt = study.generationsPerPrompt
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
