import Checkpoints
import Experiments
import Files
import Foundation
import Ops
import Parallel
import SparseAutoencoders
import StableDiffusion
import Tensors

/// An opened model with what calls have in common.
final class OpenModel {
    let session: ModelSession
    let traces = TraceStore()
    let schedule: NoiseSchedule
    let scheduler: SchedulerConfiguration
    private let hooks: [String: HookPoint]
    private var prompts: PromptEncoder?
    private var lastTime: (unet: UNet, time: TimeConditioning)?
    private var lastText: (unet: UNet, context: Tensor, text: TextConditioning)?

    static let keys = [
        "model", "vae", "loras", "embeddings", "allow_unused", "autoencoders", "memory", "cache", "cache_limit",
    ] + EngineSettings.keys

    /// - Throws: a `Failure` for settings or files that are no model.
    init(_ settings: Settings) throws {
        let cache = try settings.string("cache")
        session = try ModelSession(
            Self.reference(settings), engine: EngineSettings.engine(settings),
            memoryBudget: settings.int("memory", in: 1...Int.max),
            checksums: ChecksumCache(path: cache.map { $0 + "/checksums.json" }),
            pools: PoolStore(folder: cache.map { $0 + "/pools" }), packs: Self.packs(settings, cache))
        scheduler = try session.folder.scheduler()
        schedule = scheduler.schedule
        hooks = Dictionary(uniqueKeysWithValues: session.folder.unetConfig.hookPoints().map { ($0.name, $0) })
        let unused = session.folder.source.unusedLoRAKeys
        if let first = unused.first, try settings.bool("allow_unused") != true {
            throw Refusal(
                .badFile, "\(first): one of \(unused.count) tensors of LoRA files that fit nothing in the model; "
                    + "allow_unused goes on without them")
        }
    }

    /// Where weights are kept as layers read them. What cannot be kept there is only made again.
    private static func packs(_ settings: Settings, _ cache: String?) throws -> PackedStore? {
        let limit = try settings.int("cache_limit", in: 0...Int.max) ?? 20_000_000_000
        guard let cache, limit > 0 else { return nil }
        return PackedStore(folder: cache + "/packed", limit: limit)
    }

    private static func reference(_ settings: Settings) throws -> ModelReference {
        try ModelReference(
            settings.needed("model", settings.string("model")), vae: settings.string("vae"),
            loras: settings.objects("loras", keys: ["path", "scale"]).map { lora in
                try ModelReference.LoRA(
                    path: lora.needed("path", lora.string("path")), scale: lora.float("scale") ?? 1)
            },
            embeddings: settings.objects("embeddings", keys: ["path", "token"]).map { word in
                try ModelReference.Embedding(path: word.needed("path", word.string("path")), token: word.string("token"))
            },
            autoencoders: settings.string("autoencoders"))
    }

    var engine: Engine { session.engine }
    var folder: ModelFolder { session.folder }
    var config: UNetConfig { session.folder.unetConfig }

    /// - Throws: `SimpleFailure(.usage)` naming the nearest layers if there is none of that name.
    func hook(_ name: String) throws -> HookPoint { try hooks[name] ?? session.hook(name) }

    /// Tokenizer and text encoder, kept.
    func promptEncoder() throws -> PromptEncoder {
        if let known = session.loadedPrompts ?? prompts { return known }
        let encoder = try PromptEncoder(session.loadable(), engine: engine)
        prompts = encoder
        return encoder
    }

    /// The time steps' share of the computation; that of the last call is kept.
    func time(_ timesteps: [Float], _ unet: UNet) -> TimeConditioning {
        if let last = lastTime, last.unet === unet, last.time.timesteps == timesteps { return last.time }
        let time = unet.prepare(timesteps: timesteps)
        lastTime = (unet, time)
        return time
    }

    /// The text's share of the computation; that of the last call is kept.
    func text(_ context: Tensor, _ unet: UNet) -> TextConditioning {
        if let last = lastText, last.unet === unet, last.context.shape == context.shape,
            memcmp(last.context.pointer, context.pointer, 4 * context.count) == 0
        {
            return last.text
        }
        let text = unet.prepare(context: context)
        lastText = (unet, context, text)
        return text
    }
}

/// What forward passes kept for gradients, until it is freed or the model is closed.
final class TraceStore: @unchecked Sendable {
    private let lock = NSLock()
    private var traces: [Int: KeptTrace] = [:]
    private var next = 0

    var isEmpty: Bool { lock.withLock { traces.isEmpty } }

    func keep(_ trace: KeptTrace) -> Int {
        lock.withLock {
            next += 1
            traces[next] = trace
            return next
        }
    }

    func trace(_ number: Int) -> KeptTrace? { lock.withLock { traces[number] } }

    func remove(_ number: Int) {
        // Let go of outside the lock: it may be much memory.
        _ = lock.withLock { traces.removeValue(forKey: number) }
    }
}

/// A forward pass that gradients are taken of.
struct KeptTrace {
    let unet: UNet
    let trace: Trace
    let layout: ActivationLayout
    /// Of the output in the caller's layout.
    let shape: [Int]
    let latentShape: [Int]
}
