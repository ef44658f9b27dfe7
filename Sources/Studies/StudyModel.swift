import Experiments
import Files
import Pictures
import Tensors
import Visualization

/// How a picture is to be drawn.
public struct DrawSettings: Sendable, Equatable {
    public var steps: Int
    /// Nil: the one that the model's own files name.
    public var sampler: String?
    public var guidanceScale: Double
    public var negativePrompt: String
    /// Pixels; nil: the model's own size.
    public var width: Int?
    public var height: Int?
    /// Whether prompts are in the web interfaces' syntax.
    public var emphasis = false
}

/// A picture drawn from a prompt, and what layers did meanwhile.
public struct CapturedPicture: Sendable {
    public let picture: Bitmap
    /// Observed time steps, ascending.
    public let timesteps: [Int]
    /// Per site and recorded half of guidance, `[T, D]`: activations reduced over positions.
    public let activations: [Site: [[Float]]]

    public init(picture: Bitmap, timesteps: [Int], activations: [Site: [[Float]]]) {
        self.picture = picture
        self.timesteps = timesteps
        self.activations = activations
    }
}

/// How much of a subject's direction is added to a layer's output at which time step.
public struct SteeringStrength: Sendable, Equatable {
    public let timesteps: [Int]
    public let strengths: [Float]

    package init(timesteps: [Int], strengths: [Float]) { (self.timesteps, self.strengths) = (timesteps, strengths) }

    /// Between the given time steps, linear; outside them 0.
    public func at(_ timestep: Float) -> Float {
        guard let upper = timesteps.firstIndex(where: { Float($0) >= timestep }) else { return 0 }
        if Float(timesteps[upper]) == timestep { return strengths[upper] }
        guard upper > 0 else { return 0 }
        let (a, b) = (Float(timesteps[upper - 1]), Float(timesteps[upper]))
        return strengths[upper - 1] + (timestep - a) / (b - a) * (strengths[upper] - strengths[upper - 1])
    }
}

/// The course of an optimization.
public struct DreamCourse: Sendable {
    /// Final latents, `[B, 4, h, w]`.
    public let latents: Tensor
    /// Steps at which there are pictures; the last is the end.
    public let steps: [Int]
    /// `[step][result]`.
    public let snapshots: [[Bitmap]]
    /// Per result.
    public let records: [DreamRecord]
    /// Per result, what its picture says.
    public let texts: [[PNGText]]
    /// Makes all results again, in the study's folder.
    public let command: String

    public init(
        latents: Tensor, steps: [Int], snapshots: [[Bitmap]], records: [DreamRecord], texts: [[PNGText]] = [],
        command: String = ""
    ) {
        (self.latents, self.steps, self.snapshots) = (latents, steps, snapshots)
        (self.records, self.texts, self.command) = (records, texts, command)
    }

    /// As `course.json` keeps it: steps of the snapshots, the records without times, the command.
    var json: JSON {
        [
            "snapshots": .array(steps.map(JSON.integer)), "results": .array(records.map { $0.json(timed: false) }),
            "command": .string(command),
        ]
    }
}

/// What the whole network does, under the empty text, with a clean latent that gets the schedule's noise.
public struct NetworkResponse: Sendable {
    /// Mean squared error of the network's prediction, per time step.
    public let errors: [Float]
    /// The blocks that end the network's levels, in order of computation, and per time step their results averaged over
    /// positions, `[T][D]`.
    public let levels: [(name: String, activations: [[Float]])]

    public init(errors: [Float], levels: [(name: String, activations: [[Float]])]) {
        (self.errors, self.levels) = (errors, levels)
    }
}

/// Who names what a picture shows.
public protocol PictureJudge {
    /// Each known factor's values.
    var classes: [String: [String]] { get }
    /// Checksum of whatever its answers depend on.
    var fingerprint: String { get }
    /// Per factor its first choice; nil for pictures that it cannot judge.
    func choices(_ picture: Bitmap) -> [String: String]?
}

extension Judge: PictureJudge {}

/// A feature's nearest in another autoencoder of the layer.
public struct FeatureMatch: Sendable, Equatable {
    public let feature: Int
    /// Of their decoder rows.
    public let cosine: Float
    /// How many features the other autoencoder has.
    public let count: Int

    public init(feature: Int, cosine: Float, count: Int) {
        (self.feature, self.cosine, self.count) = (feature, cosine, count)
    }
}

/// What a study asks of a model. The stages know nothing else of it, so they can be tested with one that is no network.
///
/// Every answer is a function of the arguments alone.
public protocol StudyModel: AnyObject {
    /// For headings.
    var name: String { get }

    /// What results depend on: checksums of weights and configuration. Cheap to ask again.
    func identity() throws -> JSON

    /// Checksum of the site's autoencoder; null for raw channels.
    func identity(of site: Site) throws -> JSON

    /// Number of channels or features.
    /// - Throws: `SimpleFailure(.usage)` for a layer there is none of.
    func width(of site: Site) throws -> Int

    /// Draws a picture and records the sites.
    ///
    /// - Parameters:
    ///   - places: how each kind of site is reduced over positions; the mean if it is not named.
    ///   - halves: `conditional`, `unconditional` or `both`.
    ///   - check: called after every step; may throw to stop.
    func capture(
        prompt: String, seed: Int, settings: DrawSettings, sites: [Site], places: [Space: Where], halves: String,
        check: () throws -> Void
    ) throws -> CapturedPicture

    /// Draws a picture with the subject's direction added, in both halves of guidance. The latent is `[1, 4, h, w]`.
    func steered(
        _ subject: Subject, prompt: String, seed: Int, strength: SteeringStrength, settings: DrawSettings,
        check: () throws -> Void
    ) throws -> (latent: Tensor, picture: Bitmap)

    /// How many pictures a pool has unless the study says it.
    ///
    /// - Throws: `SimpleFailure(.usage)` for a size that the model cannot draw.
    func poolCount(_ size: DrawSettings) throws -> Int

    /// Latents of pictures that the model draws by itself, `[n, 4, h, w]`: number `range` of its pool.
    ///
    /// - Parameter check: called after every U-Net call; may throw to stop.
    func pool(_ range: Range<Int>, size: DrawSettings, check: () throws -> Void) throws -> Tensor

    /// For each subject, all of one layer, the pictures of a pool that excite it most under the dreams' prompt, best first.
    ///
    /// - Parameter check: called after every batch; may throw to stop.
    func starts(
        _ subjects: [Subject], in pool: NaturalPool, timestep: Int, count: Int, settings: DreamStageSettings,
        check: () throws -> Void
    ) throws -> [[PoolStart]]

    /// Optimizes a latent per seed.
    ///
    /// - Parameters:
    ///   - state: what an attempt before this one was stopped at; nil: from the start.
    ///   - check: called after every step with a function that tells what to continue from; may throw to stop.
    func dream(
        _ subject: Subject, timestep: Int, settings: DreamStageSettings, seeds: [Int], start: DreamStart,
        size: DrawSettings, state: [String: Tensor]?, check: (_ state: () -> DreamState) throws -> Void
    ) throws -> DreamCourse

    /// Activations `[B][D]` of latents `[B, 4, h, w]`, as noisy as the schedule makes the time step, reduced over
    /// positions as in `capture` and averaged over draws of the noise; without augmentation, rectified plainly.
    func activations(
        of latents: Tensor, at sites: [Site], places: [Space: Where], timestep: Int, draws: Int
    ) throws -> [Site: [[Float]]]

    /// The latent `[1, 4, h, w]` of a picture: the mean that the encoder gives.
    func latent(of picture: Bitmap) throws -> Tensor

    /// - Parameter latent: clean, `[1, 4, h, w]`. The noise is a function of the time step alone.
    func response(to latent: Tensor, timesteps: [Int]) throws -> NetworkResponse

    /// The judge that is meant for the model's pictures, if there is one.
    func judge() throws -> (any PictureJudge)?

    /// What stands for a feature in the layer's autoencoder of another training seed; nil without one, and for channels.
    func match(_ subject: Subject) throws -> FeatureMatch?

    /// Checksum of a layer's autoencoder of another training seed; null without one.
    func secondIdentity(_ layer: String) throws -> JSON

    /// Activations `[B][1 + features]` of a feature, and of features of the layer's autoencoder of another training seed,
    /// each times the length of its decoder row, which makes them comparable; otherwise as `activations`.
    func activations(
        of latents: Tensor, _ subject: Subject, beside features: [Int], place: Where, timestep: Int, draws: Int
    ) throws -> [[Float]]

    /// Where a subject is active: its activation, rectified plainly, at each position of the layer's map, `[B, h, w]`, for
    /// clean latents `[B, 4, h, w]` as noisy as the schedule makes the time step, averaged over draws of the noise.
    ///
    /// - Parameter texts: one per latent.
    func maps(of latents: Tensor, _ subject: Subject, texts: [TextSource], timestep: Int, draws: Int) throws -> Tensor
}
