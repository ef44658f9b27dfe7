import Experiments
import Files
import Ops
import StableDiffusion
import Visualization

/// All settings of a study, in the order of the commented file. Defaults are those of the paper's code unless the help
/// says otherwise; `dream.preset` chooses the defaults of the two dream sections.
public enum Schema {
    static let sections: [(name: String, help: String)] = [
        ("capture", "Pictures from the prompts, and what the layers do while they are drawn."),
        ("analysis", "When each channel or feature is active."),
        (
            "choose",
            "What to look at closely: all, none, indices (3, 10-19), or by rank and word, with how many:\n"
                + "most-active:20, most-localized:20, rarest:20, word:red:5. Several are united."
        ),
        ("prior", "Steered generation from the empty prompt: what a feature causes, and where dreams may start."),
        ("dream", "Optimization of a latent: what a feature looks for."),
        ("dream_features", "Parameters of the optimization for SAE features."),
        ("dream_channels", "Parameters of the optimization for raw channels."),
        ("steer", "Pictures of the dataset drawn again with a feature added: does it cause what its dreams show?"),
        ("measure", "Numbers about the results."),
        ("map", "Where in examples and results a feature is active: the gallery's heat maps."),
        ("report", "The gallery."),
    ]

    /// The preset of a study that names none.
    public static let defaultPreset = "clear"

    /// - Parameter preset: `paper`, `tuned` or `clear`.
    public static func settings(preset: String = defaultPreset) -> [Setting] {
        general + capture + analysis + choose + prior + dream(preset: preset)
            + optimization(.features, preset: preset) + optimization(.channels, preset: preset) + steer + measure + map + report
    }

    private static let anyCount = 1...1_000_000
    private static let anyNumber = 0.0...1e6

    private static let general: [Setting] = [
        .init("model", .path, "embedded", "Folder or file of a Stable Diffusion 1.x model, or: embedded"),
        .init("vae", .text, "", "VAE file or folder in place of the model's own; empty: its own"),
        .init("loras", .paths, [], "LoRA files to merge, each file or file:scale"),
        .init("allow_unused", .flag, false, "Whether parts of LoRA files may fit nothing in the model and be left out"),
        .init("embeddings", .embeddings, [], "Textual inversions for the prompts, each file or file:token"),
        .init("layers", .names, [.string(EmbeddedModel.layer)], "Names as in the checkpoint; lvo layers lists them"),
        .init("sae", .text, "embedded", "Folder of sparse autoencoders, named by layer; empty: raw channels only"),
        .init("prompts", .path, "embedded", "One prompt a line, or .jsonl with a text and optional factors"),
        .init("prompt_limit", .integer(0...1_000_000), 0, "Only so many of the prompts, evenly chosen; 0: all"),
        .init("emphasis", .flag, false, "Whether prompts weigh words as in web interfaces: (word:1.2), [word], BREAK"),
        .init(
            "precision", .choice(Precision.allCases.map(\.rawValue)), "f32",
            "Of the products of the U-Net and the VAE's decoder; bf16 is faster on CPUs that have it and refused on others"),
        .init("seed", .seed, 1024, "All pictures' seeds follow from it"),
    ]

    private static let capture: [Setting] = [
        .init("capture.images_per_prompt", .integer(anyCount), 5, "Pictures per prompt, each with its own seed"),
        .init("capture.steps", .integer(1...1000), 50, "Scheduler steps"),
        .init("capture.guidance_scale", .number(0...100), 7.5, "Classifier-free guidance"),
        .init("capture.sampler", .choice(samplers), "model", "model: the one the model's own files name"),
        .init("capture.negative_prompt", .text, "", "Negative prompt"),
        .init("capture.width", .integer(0...8192), 0, "Pixels; 0: the model's own size"),
        .init("capture.height", .integer(0...8192), 0, "Pixels; 0: the model's own size"),
        .init(
            "capture.half", .choice(["conditional", "unconditional", "both"]), "unconditional",
            "Guidance's half that is recorded: conditional, under the prompt; unconditional, under none, as dreams are; both"),
    ]

    static let samplers = ["model"] + SamplerName.allCases.map(\.rawValue)

    private static let analysis: [Setting] = [
        .init("analysis.top_k", .integer(anyCount), 20, "A channel is active where it is among so many strongest"),
        .init("analysis.peak_separation", .integer(1...1000), 100, "Peaks lie at least so many time steps apart"),
        .init("analysis.peaks", .integer(0...100), 3, "Peaks per channel"),
    ]

    private static let choose: [Setting] = [
        .init("choose.features", .features, "most-active:20", "SAE features"),
        .init("choose.channels", .features, "most-active:20", "Raw channels"),
    ]

    private static let seeds: JSON = [1024, 1111, 4359, 3248, 1026]

    private static let prior: [Setting] = [
        .init("prior.enabled", .flag, true, "Whether priors are made"),
        .init("prior.seeds", .seeds, seeds, "A prior for each"),
        .init("prior.steps", .integer(1...1000), 50, "Scheduler steps"),
        .init("prior.sampler", .choice(samplers), "model", "As for capture"),
        .init("prior.strength_features", .number(anyNumber), 500, "Times the largest activation at the time step"),
        .init("prior.strength_channels", .number(anyNumber), 50, "The same for raw channels"),
    ]

    private static func dream(preset: String) -> [Setting] {
        [
            .init(
                "dream.preset", .choice(presets), .string(preset),
                "Defaults of the next two sections: paper, tuned (docs/sweep.md) or clear (docs/dreams.md)"),
            .init(
                "dream.timesteps", .timesteps, ["0", "peaks"],
                "Time steps; peaks: those of the feature's activity; between: halfway between its peaks"),
            .init("dream.seeds", .seeds, seeds, "A result for each"),
            .init("dream.prompt", .text, "", "Text condition"),
            .init(
                "dream.pool", .integer(0...1_000_000), 0,
                "Pictures the model draws by itself, where dreams may start; 0: 64 of 64 × 64 latents, more of smaller"),
            .init("dream.snapshot_every", .integer(1...100_000), 10, "Steps between the pictures of the history"),
            .init("dream.animation", .flag, true, "Whether the history is also kept as an animated PNG"),
        ]
    }

    private static let steer: [Setting] = [
        .init("steer.enabled", .flag, true, "Whether pictures are steered"),
        .init("steer.pictures", .integer(1...1000), 8, "Pictures per feature, among those in which it was not active"),
        .init("steer.strength_features", .number(anyNumber), 50, "Times the largest activation at the time step"),
        .init("steer.strength_channels", .number(anyNumber), 5, "The same for raw channels"),
    ]

    private static let measure: [Setting] = [
        .init("measure.noise_draws", .integer(1...1000), 8, "Draws of the schedule's noise a measure is averaged over"),
        .init("measure.examples", .integer(1...1000), 12, "Dataset examples that agreement compares with"),
        .init("measure.judge", .path, "embedded", "Who names pictures: a file, none, or embedded for the model of that name"),
        .init("measure.second_sae", .text, "", "Folder of autoencoders of another training seed, named by layer; empty: none"),
        .init("measure.second_cosine", .number(0...1), 0.7, "Least cosine of decoder rows for a feature to be matched in them"),
    ]

    private static let map: [Setting] = [
        .init("map.enabled", .flag, true, "Whether maps are made"),
        .init("map.noise_draws", .integer(1...1000), 4, "Draws of the schedule's noise a map is averaged over"),
    ]

    private static let report: [Setting] = [
        .init("report.title", .text, "", "Heading of the gallery; empty: the model's name"),
        .init("report.examples", .integer(1...1000), 12, "Dataset examples shown per feature"),
    ]

    static let presets = ["paper", "tuned", "clear"]
    /// The setting of a section that names the presets to compare with.
    static let compare = "compare"

    /// The dream's parameters, and where it starts: the paper from priors; tuned from noise, which reaches as far and owes
    /// the dataset nothing (docs/sweep.md); clear from pictures that the model draws by itself.
    static func optimization(_ space: Space, preset: String) -> [Setting] {
        let section = "dream_\(space.rawValue)"
        let (settings, source): (DreamSettings, StartSource) = switch preset {
        case "tuned": (DreamSettings(.tuned), .noise)
        case "clear": (DreamSettings(.clear), .pool)
        default: (.paper(for: space), .prior)
        }
        let start = Setting(
            "\(section).start", .choice(StartSource.allCases.map(\.rawValue)), .string(source.rawValue),
            "Where the optimization starts: pictures that the model draws by itself, steered ones, or noise")
        let free: JSON = preset == "clear" && space == .features ? ["tuned"] : []
        let compare = Setting(
            "\(section).\(Self.compare)", .choices(presets), free,
            "Presets whose dreams of the same are shown beside these, at their own cost")
        return [start, compare] + DreamParameters.all.map { row in
            Setting("\(section).\(row.key)", .parameter(row), row.value(in: settings), row.help)
        }
    }
}
