import Experiments
import Files
import Ops
import Visualization

/// A study's settings with their meaning; what `SettingsFile` read.
public struct StudySettings: Sendable, Equatable {
    public let values: SettingValues

    public init(_ values: SettingValues) { self.values = values }

    public var model: String { values.text("model") }
    /// The model with everything that is put into it; paths are meant from the study's folder.
    public func reference(in folder: String) -> ModelReference {
        ModelReference(
            model, vae: nonempty("vae"), loras: values.texts("loras").map(ModelReference.LoRA.init(argument:)),
            embeddings: values.texts("embeddings").compactMap { ModelReference.Embedding(argument: $0, in: folder) },
            autoencoders: nonempty("sae"), base: folder)
    }

    private func nonempty(_ key: String) -> String? {
        let text = values.text(key)
        return text.isEmpty ? nil : text
    }

    public var layers: [String] { values.texts("layers") }
    public var autoencoders: String { values.text("sae") }
    public var prompts: String { values.text("prompts") }
    /// Whether prompts are in the web interfaces' syntax.
    public var emphasis: Bool { values.flag("emphasis") }
    public var promptLimit: Int { values.integer("prompt_limit") }
    /// Of the products of the U-Net and the VAE's decoder.
    public var precision: Precision { Precision(rawValue: values.text("precision")) ?? .float32 }
    public var seed: Int { values.integer("seed") }
    public var imagesPerPrompt: Int { values.integer("capture.images_per_prompt") }
    public var halves: String { values.text("capture.half") }
    public var topK: Int { values.integer("analysis.top_k") }
    public var peakSeparation: Int { values.integer("analysis.peak_separation") }
    public var peakLimit: Int { values.integer("analysis.peaks") }
    public var makesPriors: Bool { values.flag("prior.enabled") }
    public var priorSeeds: [Int] { values.integers("prior.seeds") }
    public var noiseDraws: Int { values.integer("measure.noise_draws") }
    public var measuredExamples: Int { values.integer("measure.examples") }
    public var judge: JudgeReference { JudgeReference(values.text("measure.judge")) }
    /// Folder of the autoencoders of another training seed; nil: none.
    public var secondAutoencoders: String? { nonempty("measure.second_sae") }
    public var leastCosine: Double { values.number("measure.second_cosine") }
    /// Whether pictures are drawn again with each subject added.
    public var steers: Bool { values.flag("steer.enabled") }
    public var steeredPictures: Int { values.integer("steer.pictures") }
    public func steeringStrength(_ space: Space) -> Double { values.number("steer.strength_\(space.rawValue)") }
    public var makesMaps: Bool { values.flag("map.enabled") }
    public var mapDraws: Int { values.integer("map.noise_draws") }
    public var title: String { values.text("report.title") }
    public var shownExamples: Int { values.integer("report.examples") }
    /// Nil: as many as suit the latents' size.
    public var poolCount: Int? { values.integer("dream.pool") == 0 ? nil : values.integer("dream.pool") }
    /// Whether dreams of either kind start from the pool.
    public var usesPool: Bool {
        Space.allCases.contains { space in ([.own] + companions(space)).contains { dream(space, $0).start == .pool } }
    }
    public var dreamSeeds: [Int] { values.integers("dream.seeds") }
    public var dreamTimesteps: [DreamTimestep] { values.texts("dream.timesteps").compactMap(DreamTimestep.init) }

    /// How the dataset's pictures are drawn.
    public var capture: DrawSettings {
        DrawSettings(
            steps: values.integer("capture.steps"), sampler: sampler("capture.sampler"),
            guidanceScale: values.number("capture.guidance_scale"),
            negativePrompt: values.text("capture.negative_prompt"), width: pixels("capture.width"),
            height: pixels("capture.height"), emphasis: emphasis)
    }

    /// How priors are drawn: without guidance, at the dataset's size.
    public var prior: DrawSettings {
        DrawSettings(
            steps: values.integer("prior.steps"), sampler: sampler("prior.sampler"), guidanceScale: 1,
            negativePrompt: "", width: pixels("capture.width"), height: pixels("capture.height"))
    }

    public func priorStrength(_ space: Space) -> Double { values.number("prior.strength_\(space.rawValue)") }

    public func choice(_ space: Space) -> String { values.text("choose.\(space.rawValue)") }

    /// Where in the map a kind of target is sought; examples are ranked by the same rule.
    public func place(_ space: Space) -> Where { Where(values.text("dream_\(space.rawValue).where")) ?? .mean }

    /// The rule of each kind of target.
    public var places: [Space: Where] { Dictionary(uniqueKeysWithValues: Space.allCases.map { ($0, place($0)) }) }

    public func dream(_ space: Space, _ way: DreamWay = .own) -> DreamStageSettings {
        switch way {
        case .own: DreamStageSettings(values, space: space)
        case .preset(let name): DreamStageSettings(values.with(preset: name, for: space), space: space)
        }
    }

    /// The ways that dreams are compared with, without those that differ in nothing.
    public func companions(_ space: Space) -> [DreamWay] {
        values.texts("dream_\(space.rawValue).\(Schema.compare)").map(DreamWay.preset)
            .filter { dream(space, $0) != dream(space) }
    }

    /// Name of the preset that a way comes from.
    func preset(_ way: DreamWay) -> String {
        if case .preset(let name) = way { name } else { values.text("dream.preset") }
    }

    private func sampler(_ key: String) -> String? {
        let name = values.text(key)
        return name == "model" ? nil : name
    }

    private func pixels(_ key: String) -> Int? {
        let pixels = values.integer(key)
        return pixels == 0 ? nil : pixels
    }
}

/// Where a study's dreams start.
public enum StartSource: String, Sendable, CaseIterable {
    /// Pictures that the model draws by itself.
    case pool
    /// Steered generation.
    case prior
    case noise
}

/// Parameters of the dream stage for one kind of target.
public struct DreamStageSettings: Sendable, Equatable {
    public let start: StartSource
    public let prompt: String
    /// Whether the prompt is in the web interfaces' syntax; false for the empty one, which is the same in both.
    public let emphasis: Bool
    public let snapshotEvery: Int
    public let animation: Bool
    /// The section's values by their names without the section.
    public let parameters: JSON

    init(_ values: SettingValues, space: Space) {
        let section = "dream_\(space.rawValue)"
        let source = StartSource(rawValue: values.text("\(section).start")) ?? .noise
        start = source == .prior && !values.flag("prior.enabled") ? .noise : source
        prompt = values.text("dream.prompt")
        emphasis = values.flag("emphasis") && !prompt.isEmpty
        snapshotEvery = values.integer("dream.snapshot_every")
        animation = values.flag("dream.animation")
        // What a dream is compared with does not change it.
        parameters = JSON(
            values.values.filter { $0.key.hasPrefix(section + ".") && $0.key != "\(section).\(Schema.compare)" }
                .sorted { $0.key < $1.key }.map { (String($0.key.dropFirst(section.count + 1)), $0.value) })
    }

    /// The prompt in a key: the text, or an object if it is read in the web interfaces' syntax.
    var promptKey: JSON { emphasis ? ["emphasized": .string(prompt)] : .string(prompt) }

    /// The section's values as the optimization takes them.
    ///
    /// - Throws: `SimpleFailure(.usage)` for values that exclude each other.
    public func dreamSettings() throws -> DreamSettings { try DreamSettings(parameters) }
}
