import Experiments
import Files
import Foundation
import Pictures
import Tensors
import Visualization
import WorkUnits

import Studies

/// A model that is no network: activations are hashes of the prompt, pictures are flat colours. Every answer is a
/// function of the arguments, as the stages require.
final class ToyModel: StudyModel {
    let name = "toy"
    var pause: UInt32 = 0
    var hasSecond = false
    /// Called after every picture or step of the optimization with the stage's name.
    var worked: (String) -> Void = { _ in }
    static let widths: [Space: Int] = [.features: 24, .channels: 6]

    func identity() throws -> JSON { "toy" }
    func identity(of site: Site) throws -> JSON { .string(site.space.rawValue) }

    func width(of site: Site) throws -> Int {
        guard site.layer.hasPrefix("layer"), let width = Self.widths[site.space] else {
            throw SimpleFailure(.usage, "no layer \(site.layer)")
        }
        return width
    }

    private func random(_ text: String, _ seed: Int) -> CounterRandom {
        let hash = text.utf8.reduce(UInt64(1469)) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
        return CounterRandom(seed: hash, purpose: .start, unit: UInt64(seed))
    }

    private func flat(_ value: Float) -> Bitmap {
        let level = UInt8(max(0, min(255, value * 255)))
        return Bitmap(width: 8, height: 8, red: level, green: 128, blue: 255 - level)
    }

    func capture(
        prompt: String, seed: Int, settings: DrawSettings, sites: [Site], places: [Space: Where], halves: String,
        check: () throws -> Void
    ) throws -> CapturedPicture {
        usleep(pause)
        worked("capture")
        try check()
        let timesteps = (0..<settings.steps).map { 1 + $0 * 900 / settings.steps }
        var activations: [Site: [[Float]]] = [:]
        for (index, site) in sites.enumerated() {
            let width = try width(of: site)
            let random = random(prompt, seed &+ index)
            let values = (0..<timesteps.count * width).map { max(0, random.normal($0)) }
            activations[site] = halves == "both" ? [values, values.map { $0 / 2 }] : [values]
        }
        return CapturedPicture(
            picture: flat(random(prompt, seed).uniform(0)), timesteps: timesteps, activations: activations)
    }

    /// Bright where much is added; without anything, the picture of the prompt.
    func steered(
        _ subject: Subject, prompt: String, seed: Int, strength: SteeringStrength, settings: DrawSettings,
        check: () throws -> Void
    ) throws -> (latent: Tensor, picture: Bitmap) {
        usleep(pause)
        worked(prompt.isEmpty ? "prior" : "steer")
        try check()
        let latent = random(subject.path, seed).normals([1, 4, 2, 2])
        let added = strength.strengths.max() ?? 0
        latent.pointer[0] += strength.at(Float(strength.timesteps[0]))
        return (latent, flat(prompt.isEmpty ? latent.pointer[1] : random(prompt, seed).uniform(0) + added))
    }

    func poolCount(_ size: DrawSettings) throws -> Int { 128 }

    func pool(_ range: Range<Int>, size: DrawSettings, check: () throws -> Void) throws -> Tensor {
        worked("pool")
        try check()
        return Tensor([range.count, 4, 2, 2], range.flatMap { random("pool", $0).normals([1, 4, 2, 2]).array })
    }

    func starts(
        _ subjects: [Subject], in pool: NaturalPool, timestep: Int, count: Int, settings: DreamStageSettings,
        check: () throws -> Void
    ) throws -> [[PoolStart]] {
        worked("search")
        try check()
        return subjects.map { subject in
            (0..<count).map { PoolStart(index: ($0 + subject.index + timestep) % pool.count, activation: 1 / Double($0 + 1)) }
        }
    }

    func dream(
        _ subject: Subject, timestep: Int, settings: DreamStageSettings, seeds: [Int], start: DreamStart,
        size: DrawSettings, state: [String: Tensor]?, check: (() -> DreamState) throws -> Void
    ) throws -> DreamCourse {
        var latents = Tensor.zeros([seeds.count, 4, 2, 2])
        if case .latents(let priors, _) = start {
            let each = seeds.indices.map { $0 % priors.shape[0] }.flatMap { priors.slice($0..<$0 + 1).array }
            latents = Tensor(latents.shape, each)
        }
        latents = state?["latents"] ?? latents
        let done = state?["done"].map { Int($0.array[0]) } ?? 0
        let parameters = try settings.dreamSettings()
        let steps = [0, parameters.steps / 2, parameters.steps]
        for step in done..<parameters.steps {
            usleep(pause / 10)
            worked("dream")
            for i in 0..<latents.count { latents.pointer[i] += Float(parameters.learningRate) }
            try check { [("latents", latents), ("done", Tensor([1], [Float(step + 1)]))] }
        }
        let rise = JSON.array((0..<parameters.steps).map { .float(Float($0) / 10) })
        return DreamCourse(
            latents: latents, steps: steps, snapshots: steps.map { step in seeds.map { flat(Float($0 % 7 + step) / 20) } },
            records: seeds.map {
                DreamRecord(
                    description: ["seed": .integer($0)], startActivation: 0, finalActivation: 1,
                    history: ["activation": rise])
            })
    }

    func latent(of picture: Bitmap) throws -> Tensor {
        Tensor([1, 4, 2, 2], [Float](repeating: Float(picture.pixels[0]) / 255, count: 16))
    }

    func response(to latent: Tensor, timesteps: [Int]) throws -> NetworkResponse {
        let levels = ["down", "layer.a", "up"]
        return NetworkResponse(
            errors: timesteps.map { Float($0) * latent.pointer[0] },
            levels: levels.map { name in
                let random = random(name, Int(latent.pointer[0] * 255))
                return (name: name, activations: timesteps.map { step in (0..<4).map { random.normal(step + $0) } })
            })
    }

    /// The same feature, less like it the higher its number.
    func match(_ subject: Subject) throws -> FeatureMatch? {
        guard hasSecond, subject.site.space == .features else { return nil }
        return FeatureMatch(feature: subject.index, cosine: 1 - Float(subject.index) / 100, count: 24)
    }

    func secondIdentity(_ layer: String) throws -> JSON { hasSecond ? "second" : .null }

    /// The feature's own activations on latents that are its index in the first place, half of it in the second autoencoder.
    func activations(
        of latents: Tensor, _ subject: Subject, beside features: [Int], place: Where, timestep: Int, draws: Int
    ) throws -> [[Float]] {
        (0..<latents.shape[0]).map { _ in [2] + features.map { $0 == subject.index ? 1 : 0.2 } }
    }

    func judge() throws -> (any PictureJudge)? { ToyJudge() }

    func maps(
        of latents: Tensor, _ subject: Subject, texts: [TextSource], timestep: Int, draws: Int
    ) throws -> Tensor {
        worked("map")
        let values = texts.enumerated().flatMap { sample, text in
            (0..<6).map { abs(random(text.prompt + subject.path, timestep).normal($0)) + abs(latents.pointer[sample * 16]) }
        }
        return Tensor([texts.count, 2, 3], values)
    }

    func activations(
        of latents: Tensor, at sites: [Site], places: [Space: Where], timestep: Int, draws: Int
    ) throws -> [Site: [[Float]]] {
        var result: [Site: [[Float]]] = [:]
        for site in sites {
            let width = try width(of: site)
            result[site] = (0..<latents.shape[0]).map { sample in
                let random = random(site.path, timestep + sample)
                return (0..<width).map { max(0, random.normal($0)) + abs(latents.pointer[sample * 16]) }
            }
        }
        return result
    }
}

/// Calls bright pictures red.
struct ToyJudge: PictureJudge {
    let classes = ["color": ["red", "blue", "none"], "size": ["small", "none"]]
    let fingerprint = "toy"
    func choices(_ picture: Bitmap) -> [String: String]? {
        ["color": picture.pixels[0] > 127 ? "red" : "blue", "size": "none"]
    }
}

/// A study of the toy model in a folder.
func toyStudy(_ folder: String, overrides: [String] = [], prompts: Int = 6, pause: UInt32 = 0) throws -> Study {
    let values = try SettingsFile.parse(
        """
        layers: [layer.a, layer.b]
        sae: somewhere
        capture: {steps: 5, images_per_prompt: 2}
        analysis: {top_k: 4}
        choose: {features: "most-active:3, word:red:1", channels: "0-1"}
        dream: {preset: paper, seeds: [1, 2], timesteps: [0, peaks]}
        dream_features: {steps: 20}
        prior: {seeds: [7, 8]}
        """, name: "study.yaml", overrides: overrides)
    let colors = ["red", "green", "blue", "gray"]
    let all = (0..<prompts).map {
        Prompt(text: "a \(colors[$0 % 4]) thing \($0)", factors: ["color": colors[$0 % 4]])
    }
    let model = ToyModel()
    model.pause = pause
    model.hasSecond = StudySettings(values).secondAutoencoders != nil
    return try Study(folder: folder, settings: StudySettings(values), prompts: all, model: model)
}

/// Runs all stages and writes the gallery.
func runAll(_ study: Study, shard: Shard = .whole, stop: StopFlag = StopFlag()) throws {
    let runner = try StageRunner(study: study.folder, shard: shard, stop: stop)
    for stage in study.stages { _ = try runner.run(stage) }
}
