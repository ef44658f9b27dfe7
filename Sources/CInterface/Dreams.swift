import CLVO
import Experiments
import Files
import Ops
import Pictures
import StableDiffusion
import Tensors
import Visualization

private enum DreamKeys {
    static let own = [
        "layer", "objectives", "timesteps", "seeds", "prompt", "clip_skip", "emphasis", "width", "height", "init", "preset",
        "robustness", "batch", "display", "every", "decode", "timed",
    ]
    static let all = own + DreamParameters.all.map(\.key)
    static let term = Readout.keys + ["weight", "name"]
    static let mostResults = 1 << 16
}

extension DreamRequest {
    /// - Parameter start: latents that were given.
    fileprivate init(
        _ settings: Settings, start: Tensor?, _ autoencoders: GivenAutoencoders, _ model: OpenModel
    ) throws {
        let layer = try settings.needed("layer", settings.string("layer"))
        let timesteps = try settings.needed("timesteps", settings.ints("timesteps"))
        guard !timesteps.isEmpty, Set(timesteps).count == timesteps.count else {
            throw settings.bad("timesteps", "whole numbers, each once", "\(timesteps)")
        }
        let preset = try settings.choice("preset", DreamSettings.Preset.self) ?? .clear
        try self.init(
            layer: layer, objectives: Self.objectives(settings, layer, autoencoders), timesteps: timesteps,
            seeds: settings.seeds("seeds") ?? DreamSettings.seeds,
            text: TextSource(
                prompt: settings.string("prompt") ?? "", clipSkip: settings.clipSkip(),
                emphasis: settings.bool("emphasis") ?? false),
            width: settings.int("width", in: 1...1 << 20), height: settings.int("height", in: 1...1 << 20),
            settings: Self.parameters(settings, preset), batch: settings.int("batch", in: 1...DreamKeys.mostResults),
            display: settings.choice("display") ?? .unit)
        self.start = try Self.start(settings, start, preset, model)
        self.autoencoders = autoencoders.path
        if start != nil, width != nil || height != nil {
            throw settings.bad("width", "no size beside latents, which have their own", "it")
        }
        let count = timesteps.count * objectives.count * seeds.count
        guard seeds.count <= DreamKeys.mostResults, objectives.count <= DreamKeys.mostResults, count <= DreamKeys.mostResults
        else { throw settings.bad("seeds", "at most \(DreamKeys.mostResults) results in all", "\(count)") }
    }

    private static func parameters(_ settings: Settings, _ preset: DreamSettings.Preset) throws -> DreamSettings {
        var parameters = DreamSettings(preset)
        if let level = try settings.int("robustness") { try parameters.setRobustness(level) }
        for row in DreamParameters.all {
            if let value = settings[row.key] { try row.assign(value, to: &parameters, name: "settings: \(row.key)") }
        }
        try parameters.validate()
        return parameters
    }

    private static func objectives(
        _ settings: Settings, _ layer: String, _ autoencoders: GivenAutoencoders
    ) throws -> [Objective] {
        guard let list = settings["objectives"]?.array, !list.isEmpty else {
            throw settings.bad("objectives", "a list of at least one", settings["objectives"]?.typeName ?? "nothing")
        }
        return try list.enumerated().map { index, json in
            let terms = json.array ?? [json]
            guard !terms.isEmpty else { throw settings.bad("objectives[\(index)]", "at least one term", "none") }
            return try Objective(
                terms.map { json in
                    let term = try Settings(json, keys: DreamKeys.term, "settings: objectives[\(index)]")
                    let name = try term.string("name") ?? "given"
                    return try Objective.Term(
                        Readout(term, layer: layer, name: name, autoencoders), weight: term.float("weight") ?? 1)
                })
        }
    }

    private static func start(
        _ settings: Settings, _ start: Tensor?, _ preset: DreamSettings.Preset, _ model: OpenModel
    ) throws -> DreamStart {
        let word = try settings.string("init") ?? (start != nil ? "latents" : preset == .clear ? "pool" : "noise")
        if (word == "latents") != (start != nil) { throw settings.bad("init", "latents if and only if start is given", word) }
        if let start { return .latents(start, file: word) }
        if word == "noise" { return .noise }
        let parts = word.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.first == "pool", parts.count <= 2 else {
            throw settings.bad("init", "noise, pool, pool:N or latents", word)
        }
        let size = try model.folder.latentSize(
            pixelWidth: settings.int("width", in: 1...1 << 20), pixelHeight: settings.int("height", in: 1...1 << 20))
        let count = parts.count == 1 ? NaturalPool.defaultCount(size) : Int(parts[1])
        guard let count, (1...1 << 20).contains(count) else { throw settings.bad("init", "pool:N with N from 1 to 2^20", word) }
        return .pool(count)
    }
}

@c @implementation
public func lvo_model_dream(
    _ model: OpaquePointer?, _ settings: UnsafePointer<CChar>?, _ start: UnsafePointer<Float>?,
    _ start_shape: UnsafePointer<Int64>?, _ saes: UnsafePointer<OpaquePointer?>?, _ sae_count: Int32,
    _ progress: lvo_progress?, _ user: UnsafeMutableRawPointer?, _ result: UnsafeMutablePointer<OpaquePointer?>?,
    _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        let place = try Argument.place(result, "result")
        let settings = try Settings(settings, keys: DreamKeys.all)
        let (every, decodes) = (try settings.int("every", in: 1...1 << 40), try settings.bool("decode") ?? true)
        let isTimed = try settings.bool("timed") ?? false
        try ModelBox.of(model).take { model, turn in
            let latents = try start.map {
                try Argument.tensor($0, Pass.latentShape(start_shape, "start", model), "start")
            }
            let autoencoders = try GivenAutoencoders(saes, sae_count, model.session)
            let request = try DreamRequest(settings, start: latents, autoencoders, model)
            let dreams = try Dreams(
                request, every: every, decodes: decodes && model.folder.hasComponent(.vae), model,
                Progress(function: progress, user: user), turn)
            place.pointee = ResultBox(try dreams.run(timed: isTimed)).handle
        }
    }
}

/// A dream call at work.
private struct Dreams {
    let experiment: DreamExperiment
    let every: Int?
    let decodes: Bool
    let model: OpenModel
    let progress: Progress
    let turn: Turn

    init(
        _ request: DreamRequest, every: Int?, decodes: Bool, _ model: OpenModel, _ progress: Progress, _ turn: Turn
    ) throws {
        try Self.check(request, every: every, decodes: decodes, model)
        experiment = try DreamExperiment(request, session: model.session)
        (self.every, self.decodes, self.model) = (every, decodes, model)
        (self.progress, self.turn) = (progress, turn)
    }

    /// Whether there is room for the results.
    private static func check(_ request: DreamRequest, every: Int?, decodes: Bool, _ model: OpenModel) throws {
        var size = try model.folder.latentSize(pixelWidth: request.width, pixelHeight: request.height)
        if case .latents(let latents, _) = request.start { size = (latents.shape[2], latents.shape[3]) }
        let batch = request.settings.coupling == .coupled ? request.seeds.count : request.batch ?? request.seeds.count
        try Pass.checkPositions(LatentSize(batch: batch, height: size.height, width: size.width), "size")
        let factor = try model.folder.pixelFactor()
        if decodes { try model.session.checkPicture(height: size.height * factor, width: size.width * factor) }
        let count = request.timesteps.count * request.objectives.count * request.seeds.count
        let snapshots = every.map { request.settings.steps / $0 + 2 } ?? 2
        let latent = 4 * model.config.inChannels * (1 + snapshots)
        try model.checkRoom(count * size.height * size.width * (latent + (decodes ? 3 * factor * factor : 0)))
        if case .pool(let pool) = request.start {
            try model.checkRoom(pool * size.height * size.width * 4 * model.config.inChannels)
        }
    }

    func run(timed: Bool) throws -> ResultContents {
        try drawPool()
        let batches = experiment.batches
        var (outcomes, pictures): ([DreamOutcome], [Bitmap]) = ([], [])
        for (index, items) in batches.enumerated() {
            let outcome = try experiment.run(
                items, snapshotEvery: every, observe: { try report($0.step, batch: index, of: batches.count, items) },
                check: turn.check)
            outcomes.append(outcome)
            if decodes { pictures += try experiment.pictures(outcome.latents) }
        }
        let contents = ResultContents([
            "records": .array(outcomes.flatMap(\.records).map { $0.json(timed: timed) }),
            "settings": experiment.request.settings.json,
        ])
        contents.add("latents", joining: outcomes.map(\.latents))
        contents.add("pictures", pictures)
        contents.add("activations", joining: outcomes.flatMap(\.records).map(activations))
        for (index, outcome) in outcomes.enumerated() { contents.add(outcome.snapshots, batch: index) }
        return contents
    }

    private func drawPool() throws {
        guard case .pool(let count) = experiment.request.start else { return }
        _ = try model.session.pool(count, size: experiment.size) { done, count in
            try turn.check()
            try progress.report(0, of: total, ["pool": .integer(done), "of": .integer(count)])
        }
    }

    private var total: Int { experiment.batches.count * experiment.request.settings.steps }

    private func report(_ step: DreamStep, batch: Int, of batches: Int, _ items: [DreamItem]) throws {
        try turn.check()
        let steps = experiment.request.settings.steps
        try progress.report(
            batch * steps + step.index + 1, of: batches * steps,
            [
                "batch": .integer(batch), "step": .integer(step.index),
                "activations": .array(step.activations.map { .float(Float($0)) }),
                "losses": .array(step.losses.map { .float(Float($0)) }),
                "items": .array(items.map { item in
                    [
                        "objective": .integer(item.objective), "timestep": .integer(item.timestep),
                        "seed": .integer(Int(clamping: experiment.seed(item))),
                    ]
                }),
            ])
    }

    /// `[1, steps]`, NaN where there was no step.
    private func activations(_ record: DreamRecord) -> Tensor {
        let steps = experiment.request.settings.steps
        let values = (record.history["activation"]?.array ?? []).map { Float($0.double ?? .nan) }
        return Tensor([1, steps], values + Array(repeating: .nan, count: max(0, steps - values.count)))
    }
}

extension ResultContents {
    fileprivate func add(_ snapshots: [DreamSnapshot], batch: Int) {
        let steps = snapshots.map { Float($0.step) }
        add("snapshots/\(batch)", joining: snapshots.map { $0.latents.reshaped([1] + $0.latents.shape) })
        add("snapshots/\(batch)/steps", Tensor([steps.count], steps))
    }
}
