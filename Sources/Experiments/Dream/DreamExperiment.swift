import Files
import Ops
import Pictures
import StableDiffusion
import Tensors
import Visualization

/// Tensors by name, from which an interrupted batch continues.
public typealias DreamState = [(name: String, tensor: Tensor)]

/// A request on an opened model: checked before anything is loaded, then run batch by batch.
public struct DreamExperiment {
    /// The opened model.
    public let session: ModelSession
    /// What is to be dreamt, as it was given.
    public let request: DreamRequest
    /// The layer whose activation is raised.
    public let hook: HookPoint
    /// Of the latents.
    public let size: (height: Int, width: Int)
    /// The memory plan of the largest batch.
    public let memory: MemoryPlan
    let pixelFactor: Int
    let found = FoundStarts()

    /// - Throws: `SimpleFailure(.usage)` for a request that the model, the layer or the settings do not
    ///   allow, `.badData` for latents that cannot be started from; `MemoryShortage`.
    public init(_ request: DreamRequest, session: ModelSession) throws {
        self.session = session
        hook = try session.hook(request.layer)
        try Self.check(request, session, hook)
        pixelFactor = try session.folder.pixelFactor()
        size = try Self.size(request, session)
        let pooling = try request.settings.where.pooling(of: hook, latents: size, in: session.reference)
        var pooled = request
        for index in pooled.objectives.indices { pooled.objectives[index].pooling = pooling }
        self.request = pooled
        let latents = LatentSize(batch: Self.batchSize(request), height: size.height, width: size.width)
        memory = try session.memoryPlan(to: hook, latents, whole: request.needsWholeUNet)
    }

    /// The results in batches: all seeds of one objective at one time step; independent ones may share a
    /// batch with any others. Ordered by time step, objective, seed.
    public var batches: [[DreamItem]] {
        request.timesteps.flatMap { timestep in
            let items = request.objectives.indices.flatMap { objective in
                request.seeds.indices.map { DreamItem(objective: objective, timestep: timestep, seed: $0) }
            }
            let length = Self.batchSize(request)
            return stride(from: 0, to: items.count, by: length).map { Array(items[$0..<min($0 + length, items.count)]) }
        }
    }

    /// What an item seeks.
    ///
    /// - Precondition: the item is one of this experiment's.
    public func objective(_ item: DreamItem) -> Objective { request.objectives[item.objective] }

    /// The seed that an item starts from.
    ///
    /// - Precondition: the item is one of this experiment's.
    public func seed(_ item: DreamItem) -> UInt64 { request.seeds[item.seed] }

    /// The command that repeats the results of one batch. Paths in it are those of the session's reference.
    public func command(_ items: [DreamItem]) -> String { DreamCommand(experiment: self).text(items) }

    /// Everything that a result depends on: the same in picture, latent and record.
    public func description(_ item: DreamItem) -> JSON {
        let reference = session.reference
        var object = JSONObject()
        object["version"] = .string(Release.version)
        object["model"] = .string(reference.model)
        object["vae"] = reference.vae.map { .string($0) }
        if !reference.loras.isEmpty {
            object["loras"] = .array(reference.loras.map { [.string($0.path), .float($0.scale)] })
        }
        object["precision"] = session.engine.precision.recorded.map { .string($0) }
        object["layer"] = .string(hook.name)
        object["objective"] = .string(objective(item).name)
        object["timestep"] = .integer(item.timestep)
        object["seed"] = .integer(Int(clamping: seed(item)))
        object["prompt"] = .string(request.text.prompt)
        object["context"] = request.text.contextFile.map { .string($0) }
        if request.text.clipSkip != 0 { object["clip_skip"] = .integer(request.text.clipSkip) }
        object["init"] = .string(request.start.name)
        object["latent_size"] = [.integer(size.height), .integer(size.width)]
        object["settings"] = request.settings.json
        object["command"] = .string(command([item]))
        return .object(object)
    }

    /// The text of a result's PNG.
    public func pictureText(_ item: DreamItem) -> [PNGText] {
        [PNGText("lvo", description(item).serialized()), PNGText("Software", "lvo \(Release.version)")]
    }

    /// Pictures of a batch's latents. Coupled results share a range of display, independent ones share
    /// nothing.
    public func pictures(_ latents: Tensor) throws -> [Bitmap] {
        let decoder = try session.decoder()
        if request.settings.coupling == .coupled {
            return Bitmap.pictures(decoder.decode(latents), range: request.display)
        }
        return (0..<latents.shape[0]).flatMap {
            Bitmap.pictures(decoder.decode(latents.slice($0..<$0 + 1)), range: request.display)
        }
    }
}

extension DreamExperiment {
    private static func batchSize(_ request: DreamRequest) -> Int {
        request.settings.coupling == .coupled ? request.seeds.count : request.batch ?? request.seeds.count
    }

    private static func check(_ request: DreamRequest, _ session: ModelSession, _ hook: HookPoint) throws {
        try request.settings.validate()
        for (name, count) in [
            ("objectives", request.objectives.count), ("time steps", request.timesteps.count),
            ("seeds", request.seeds.count),
        ] where count == 0 { throw SimpleFailure(.usage, "\(name): at least one is needed") }
        for timestep in request.timesteps { try session.check(timestep: Double(timestep)) }
        try request.settings.checkRedraws(session.schedule())
        for objective in request.objectives { try objective.check(width: hook.channels, layer: hook.name) }
        if let batch = request.batch {
            guard batch >= 1 else { throw SimpleFailure(.usage, "batch of \(batch): expected at least 1") }
            guard request.settings.coupling == .independent else {
                throw SimpleFailure(.usage, "a batch size needs independent results; coupled seeds are one batch")
            }
        }
    }

    private static func size(_ request: DreamRequest, _ session: ModelSession) throws -> (height: Int, width: Int) {
        if case .pool(let count) = request.start, count < 1 {
            throw SimpleFailure(.usage, "a pool of \(count) pictures: expected at least 1")
        }
        guard case .latents(let latents, let file) = request.start else {
            return try session.folder.latentSize(pixelWidth: request.width, pixelHeight: request.height)
        }
        let channels = session.folder.unetConfig.inChannels
        guard latents.shape.count == 4, latents.shape[1] == channels, latents.count > 0 else {
            throw SimpleFailure(.badData, "\(file): latent has shape \(latents.shape), expected [B, \(channels), h, w]")
        }
        guard latents.array.allSatisfy(\.isFinite) else {
            throw SimpleFailure(.badData, "\(file): latent holds numbers that are not finite")
        }
        return (latents.shape[2], latents.shape[3])
    }
}
