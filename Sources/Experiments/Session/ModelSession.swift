import Checkpoints
import Files
import Ops
import Parallel
import SparseAutoencoders
import StableDiffusion
import Tensors
import Visualization

/// One opened model: a folder, a single file or the embedded one, with another VAE, LoRAs and sparse
/// autoencoders if they are given. Opening reads headers; networks are loaded when they are first asked for,
/// and kept. Every command and every stage of a study sees a model through this type.
///
/// Not to be used from several threads at once.
public final class ModelSession {
    /// What the session was opened from, as it was given.
    public let reference: ModelReference
    /// The opened files: configurations and headers.
    public let folder: ModelFolder
    /// Runs the networks: worker threads, kernels and workspace.
    public let engine: Engine
    /// Bytes the process may use; nil: what is free.
    public let memoryBudget: Int?
    package let checksums: ChecksumCache
    let poolStore: PoolStore
    let packs: PackedStore?
    let smallestPacked: Int
    var knownLoadable: ModelFolder?
    var pools: [[Int]: NaturalPool] = [:]
    var knownIdentity: ModelIdentity?
    var texts: [TextSource: EncodedText] = [:]
    private var autoencoders: [String: SparseAutoencoder] = [:]
    private var encoders: [String: FeatureEncoder] = [:]
    private var plans: [PlanKey: MemoryPlan] = [:]
    private var fitting: Set<PlanKey> = []
    private var networks = Networks()

    private struct Networks {
        var unet: UNet?
        var conditionings: [TextSource: TextConditioning] = [:]
        var generator: Generator?
        var decoder: VAEDecoder?
        var encoder: VAEEncoder?
    }

    private struct PlanKey: Hashable {
        let hook: HookPoint
        let size: [Int]
        let whole: Bool
    }

    /// - Parameters:
    ///   - memoryBudget: bytes the process may use; nil: what is free when it matters.
    ///   - checksums: where checksums of the model's files are remembered.
    ///   - pools: where pictures that the model drew by itself are kept.
    ///   - packs: where the weights of large models are kept packed; nil: they are packed whenever they are loaded.
    ///   - smallestPacked: bytes of a U-Net's weights from which on they are kept.
    /// - Throws: a `Failure` if it is not a model, or an option does not belong to it.
    public init(
        _ reference: ModelReference, engine: Engine, memoryBudget: Int? = nil, checksums: ChecksumCache = ChecksumCache(),
        pools: PoolStore = PoolStore(folder: nil), packs: PackedStore? = nil, smallestPacked: Int = 500_000_000
    ) throws {
        poolStore = pools
        (self.packs, self.smallestPacked) = (packs, smallestPacked)
        self.reference = reference
        self.engine = engine
        self.memoryBudget = memoryBudget
        self.checksums = checksums
        folder = try Self.open(reference)
    }

    /// The model's files.
    package static func open(_ reference: ModelReference) throws -> ModelFolder {
        try ModelFolder(
            ModelSource(
                path: reference.modelPath(), vae: reference.vae.map(reference.resolved),
                loras: reference.loras.map { (reference.resolved($0.path), $0.scale) },
                embeddings: reference.embeddings.map {
                    try TextualInversion(path: reference.resolved($0.path), token: $0.token)
                }))
    }

    /// The last part of the model's path, for headings.
    public var name: String { folder.path.split(separator: "/").last.map(String.init) ?? folder.path }

    /// - Throws: `SimpleFailure(.usage)` naming the nearest layers if there is none of that name.
    public func hook(_ layer: String) throws -> HookPoint { try folder.unetConfig.hookPoint(layer) }

    /// - Throws: `SimpleFailure(.usage)` unless the schedule has that time step.
    public func check(timestep: Double) throws { try schedule().check(timestep: timestep) }

    /// The noise schedule that the model was trained with.
    ///
    /// - Throws: `FileFailure` for a damaged `scheduler_config.json`.
    public func schedule() throws -> NoiseSchedule { try folder.scheduler().schedule }
}

/// Sparse autoencoders.
extension ModelSession {
    /// The autoencoder of a layer.
    ///
    /// - Throws: `SimpleFailure`: `.missingInput` if there is none, `.badData` if it is for another width;
    ///   `FileFailure`.
    public func autoencoder(_ layer: String) throws -> SparseAutoencoder {
        let hook = try hook(layer)
        if let known = autoencoders[hook.name] { return known }
        let autoencoder = try AutoencoderFolder.load(autoencoderFolder(layer), layer: hook.name, width: hook.channels)
        autoencoders[hook.name] = autoencoder
        return autoencoder
    }

    /// Every feature's pre-activation at a layer.
    ///
    /// - Throws: as `autoencoder`.
    public func encoder(_ layer: String) throws -> FeatureEncoder {
        let name = try hook(layer).name
        if let known = encoders[name] { return known }
        let encoder = FeatureEncoder(try autoencoder(layer), engine: engine)
        encoders[name] = encoder
        return encoder
    }

    func autoencoderFolder(_ layer: String) throws -> String {
        let name = try hook(layer).name
        guard let root = try reference.autoencoderPath() else {
            throw SimpleFailure(.usage, "features of \(name) need a sparse autoencoder, and none is given")
        }
        return try AutoencoderFolder.find(in: root, layer: name)
    }
}

/// Finding sparse autoencoders.
package enum AutoencoderFolder {
    /// The folder itself, or its subfolder called like the layer, with or without `unet.`.
    ///
    /// - Parameter root: `embedded` stands for the autoencoders that come with the program.
    /// - Throws: `SimpleFailure(.missingInput)` if there is none.
    package static func find(in root: String, layer: String) throws -> String {
        let root = root == EmbeddedModel.name ? try EmbeddedModel.autoencoders() : root
        return try SAEFolder.find(layer: layer, in: root)
    }

    /// - Throws: `SimpleFailure(.badData)` if it is for another width; `FileFailure`.
    package static func load(_ path: String, layer: String, width: Int) throws -> SparseAutoencoder {
        let autoencoder = try SparseAutoencoder(folder: path)
        guard autoencoder.inputWidth == width else {
            throw SimpleFailure(
                .badData, "\(path): made for \(autoencoder.inputWidth) channels, \(layer) has \(width)")
        }
        return autoencoder
    }
}

/// Networks.
extension ModelSession {
    /// The generator: tokenizer, text encoder, the whole U-Net.
    ///
    /// - Throws: a `Failure` for a part that is missing or damaged.
    public func generator() throws -> Generator {
        if let known = networks.generator { return known }
        networks.unet = nil
        networks.conditionings = [:]
        let generator = try Generator(loadable(), engine: engine)
        (networks.generator, networks.unet) = (generator, generator.unet)
        return generator
    }

    /// The text encoder, if pictures are drawn.
    package var loadedPrompts: PromptEncoder? { networks.generator?.prompts }

    /// From latents to pixels.
    ///
    /// - Throws: `MissingComponent` if the model has no VAE; a `Failure` for a damaged one.
    public func decoder() throws -> VAEDecoder {
        if let known = networks.decoder { return known }
        let decoder = try loadable().loadVAEDecoder(engine: engine)
        networks.decoder = decoder
        return decoder
    }

    /// From pixels to latents.
    ///
    /// - Throws: as `decoder`.
    package func pictureEncoder() throws -> VAEEncoder {
        if let known = networks.encoder { return known }
        let encoder = try loadable().loadVAEEncoder(engine: engine)
        networks.encoder = encoder
        return encoder
    }

    /// The whole U-Net, and a text's share of it.
    ///
    /// - Throws: a `Failure` if a part is missing or damaged.
    package func wholeUNet(text: TextSource = TextSource()) throws -> (unet: UNet, text: TextConditioning) {
        let context = try context(text)
        let unet = try unet(upTo: nil)
        return (unet, conditioning(text, context, unet))
    }

    /// The U-Net up to a hook point at least; nil: the whole of it. With a memory budget, no more than that stays loaded.
    ///
    /// - Throws: a `Failure` if it is missing or damaged.
    public func unet(upTo hook: HookPoint?) throws -> UNet {
        if memoryBudget != nil, networks.generator != nil { networks = Networks(decoder: networks.decoder) }
        if let known = networks.unet, known.reaches(hook) { return known }
        networks.unet = nil
        networks.conditionings = [:]
        let unet = try loadable().loadUNet(upTo: hook, engine: engine)
        networks.unet = unet
        return unet
    }

    /// Lets go of the U-Net, the text encoder with it, and of idle memory, to make room for the VAE. Whoever asks for the
    /// U-Net again gets it loaded again, as far as it is needed.
    public func releaseUNet() {
        networks = Networks(decoder: networks.decoder, encoder: networks.encoder)
        engine.workspace.trim()
    }

    /// Which blocks keep their activations for gradients of that many latents, by the budget or else by what
    /// is free.
    ///
    /// - Parameter whole: whether the whole U-Net is loaded, as for drawing again.
    /// - Throws: `MemoryShortage` if they cannot be held.
    public func memoryPlan(to hook: HookPoint, _ size: LatentSize, whole: Bool = false) throws -> MemoryPlan {
        let key = PlanKey(hook: hook, size: [size.batch, size.height, size.width], whole: whole)
        if let known = plans[key] { return known }
        var plan = try folder.memoryPlan(to: hook, size, budget: memoryBudget, whole: whole, precision: engine.precision)
        if memoryBudget == nil, let allowance = Self.allowance, plan.totalBytes > allowance {
            do {
                plan = try folder.memoryPlan(to: hook, size, budget: allowance, whole: whole, precision: engine.precision)
            } catch var shortage as MemoryShortage {
                shortage.isWhatIsFree = true
                throw shortage
            }
        }
        plans[key] = plan
        return plan
    }

    /// - Throws: `MemoryShortage` if a forward pass to a hook point, without what gradients need, cannot be held.
    package func checkForward(to hook: HookPoint, _ size: LatentSize) throws {
        let key = PlanKey(hook: hook, size: [size.batch, size.height, size.width], whole: false)
        guard !fitting.contains(key), plans[key] == nil, let budget = memoryBudget ?? Self.allowance else { return }
        let weights = try folder.weightBytes(upTo: hook, precision: engine.precision)
        let activations = folder.unetConfig.forwardBytes(to: hook, size)
        guard weights + activations + MemoryPlan.overheadBytes <= budget else {
            throw MemoryShortage(
                hook: hook.name, size: size, budget: budget, weightBytes: weights, activationBytes: activations,
                isWhatIsFree: memoryBudget == nil)
        }
        fitting.insert(key)
    }

    /// - Throws: `SimpleFailure`: `.badData` for a VAE that does not make RGB pictures of this U-Net's latents,
    ///   `.outOfMemory` if it cannot hold one of that many pixels.
    package func checkPicture(height: Int, width: Int) throws {
        let config = try folder.vaeConfig()
        guard config.imageChannels == 3, config.latentChannels == folder.unetConfig.inChannels else {
            throw SimpleFailure(
                .badData, "\(folder.path): its VAE makes \(config.imageChannels) channels of \(config.latentChannels), "
                    + "expected 3 of \(folder.unetConfig.inChannels)")
        }
        let needed = config.workingBytes(height: height, width: width)
        guard let free = memoryBudget ?? Machine().availableMemory, needed > free else { return }
        throw SimpleFailure(
            .outOfMemory, "a picture of \(width)×\(height) pixels takes about \(formatBytes(needed)) in the VAE, and "
                + "\(formatBytes(free)) may be used; choose a smaller size")
    }

    /// The most memory that this process can hold without swapping, in bytes: its own and the free; nil if
    /// unknown.
    private static var allowance: Int? { Machine().availableMemory.map { $0 + (Machine.residentMemory ?? 0) } }

    /// Dreams of a layer under a text, for that many latents. The engine gives idle memory back rather than
    /// exceed the plan.
    ///
    /// - Parameter whole: whether the dreams draw again, which takes the whole U-Net.
    /// - Throws: a `Failure`; `SimpleFailure(.badData)` for a text of several samples.
    public func dreamer(
        _ hook: HookPoint, text: TextSource = TextSource(), size: LatentSize, whole: Bool = false
    ) throws -> Dreamer {
        let plan = try memoryPlan(to: hook, size, whole: whole)
        plan.enforce(on: engine)
        let context = try context(text)
        let unet = try unet(upTo: whole ? nil : hook)
        return Dreamer(
            unet: unet, hook: hook, text: conditioning(text, context, unet), schedule: try schedule(),
            policies: plan.policies, prediction: try folder.scheduler().prediction)
    }

    /// Drawing without guidance, by the whole U-Net.
    ///
    /// - Throws: as `dreamer`.
    public func drawing(text: TextSource = TextSource()) throws -> NaturalDrawing {
        let whole = try wholeUNet(text: text)
        let scheduler = try folder.scheduler()
        return NaturalDrawing(
            unet: whole.unet, text: whole.text, schedule: scheduler.schedule, prediction: scheduler.prediction)
    }

    private func context(_ text: TextSource) throws -> Tensor {
        let context = try self.text(text).context
        guard context.shape[0] == 1 else {
            throw SimpleFailure(.badData, "context for \(context.shape[0]) samples; dreams share one")
        }
        return context
    }

    private func conditioning(_ text: TextSource, _ context: Tensor, _ unet: UNet) -> TextConditioning {
        let conditioning = networks.conditionings[text] ?? unet.prepare(context: context)
        networks.conditionings[text] = conditioning
        return conditioning
    }
}
