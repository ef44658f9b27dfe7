import Checkpoints
import Experiments
import Files
import Ops
import Pictures
import StableDiffusion
import Tensors
import Visualization

/// Carries out a `DreamPlan`.
struct DreamJob {
    private let plan: DreamPlan
    private let engine: Engine
    private let dreamer: Dreamer
    private let decoder: VAEDecoder
    private let progress: Progress

    init(_ command: Dream) throws {
        plan = try DreamPlan(command)
        try plan.prepareOutput()
        engine = try command.runtime.engine()
        if command.memory.memory != nil { note("memory plan\n\(plan.memory)") }
        plan.memory.enforce(on: engine)
        let context = try command.prompt.context(plan.folder, engine: engine)
        guard context.shape[0] == 1 else {
            throw SimpleFailure(.badData, "context for \(context.shape[0]) samples; dreams share one")
        }
        decoder = try plan.folder.loadVAEDecoder(engine: engine)
        let unet = try plan.folder.loadUNet(upTo: plan.hook, engine: engine)
        dreamer = Dreamer(
            unet: unet, hook: plan.hook, text: unet.prepare(context: context),
            schedule: try plan.folder.scheduler().schedule, policies: plan.memory.policies)
        progress = Progress(total: plan.batches.count * plan.settings.steps, emitsEvents: command.output.json)
    }

    func run() throws {
        progress.event("start", [("results", .integer(plan.batches.joined().count)), ("settings", plan.settings.json)])
        let pictures = try plan.batches.flatMap { batch in
            zip(batch, try run(batch)).map { (item: $0, picture: $1) }
        }
        if let sheet = plan.command.output.sheet {
            try PNG.write(contactSheet(pictures).draw(), to: sheet, overwrite: plan.command.output.overwrite)
            progress.result(sheet)
        }
        progress.close()
        progress.event("done")
    }

    /// Batches come in the order of time steps, objectives, seeds, which is that of the sheet's rows and columns.
    private func contactSheet(_ results: [(item: DreamItem, picture: Bitmap)]) -> ContactSheet {
        let cells = results.map { item, picture in
            let name = "\(plan.objectives[item.objective].name) t=\(item.timestep)"
            return ContactSheet.Cell(picture, label: item.seed == 0 ? name : "seed \(plan.seeds[item.seed])")
        }
        let enlargement = max(1, 192 / max(1, results[0].picture.width))
        return ContactSheet(cells, columns: plan.seeds.count, enlargement: enlargement, title: plan.hook.name)
    }

    /// The results' pictures.
    private func run(_ items: [DreamItem]) throws -> [Bitmap] {
        let clock = ContinuousClock()
        let begin = clock.now
        let start = joined(items.map(plan.start))
        let (objectives, seeds) = (items.map { plan.objectives[$0.objective] }, items.map { plan.seeds[$0.seed] })
        let timestep = items[0].timestep
        func measure(_ latents: Tensor) -> [Double] {
            dreamer.measure(latents, objectives: objectives, timestep: timestep, seeds: seeds)
        }
        let before = measure(start)
        var run = dreamer.run(
            start: start, objectives: objectives, timestep: timestep, seeds: seeds, settings: plan.settings)
        var history = DreamHistory()
        let animates = plan.command.output.animation
        var frames = animates ? [decoded(start)] : []
        while let step = run.next() {
            history.append(step, seconds: (clock.now - begin).seconds)
            report(step, items)
            if let every = plan.command.output.every, run.stepsDone % every == 0, !run.isFinished {
                let pictures = try writePictures(run.latent, items, suffix: "_step\(padded(run.stepsDone))")
                if animates { frames.append(pictures) }
            }
        }
        let after = measure(run.latent)
        let pictures = try writePictures(run.latent, items, suffix: "")
        if animates { try writeAnimations(frames + [pictures], items) }
        progress.close()
        try plan.command.output.preview.show(pictures)
        for (index, item) in items.enumerated() {
            let group = plan.settings.coupling == .coupled ? 0 : index
            let result = DreamResult(
                path: plan.stem(item) + ".png", latent: run.latent.slice(index..<index + 1), start: before[index],
                final: after[index], divergedAt: run.divergedAt[group],
                history: history.json(latent: index, group: group),
                runtime: runtime(seconds: (clock.now - begin).seconds, batch: items.count))
            try write(result, item)
        }
        return pictures
    }

    private struct DreamResult {
        let path: String
        let latent: Tensor
        let start: Double
        let final: Double
        let divergedAt: Int?
        let history: JSON
        let runtime: JSON
    }

    private func write(_ result: DreamResult, _ item: DreamItem) throws {
        let (stem, overwrite) = (plan.stem(item), plan.command.output.overwrite)
        try SafetensorsWriter.write(
            [("latent", result.latent)], metadata: ["lvo": description(item).serialized()],
            to: stem + ".safetensors", overwrite: overwrite)
        var record = description(item).object ?? JSONObject()
        record["start_activation"] = .number(result.start)
        record["final_activation"] = .number(result.final)
        record["diverged_at"] = result.divergedAt.map { .integer($0) } ?? .null
        record["history"] = result.history
        record["runtime"] = result.runtime
        try JSON.object(record).write(to: stem + ".json", overwrite: overwrite)
        if let step = result.divergedAt {
            progress.close()
            note("\(result.path): numbers overflowed at step \(step); kept the latent before it")
        }
        let numbers: [(String, JSON)] = [("start", .number(result.start)), ("final", .number(result.final))]
        progress.event("result", [("path", .string(result.path))] + numbers)
        progress.result(result.path)
    }

    private func report(_ step: DreamStep, _ items: [DreamItem]) {
        let mean = step.activations.reduce(0, +) / Double(step.activations.count)
        let names = Set(items.map(\.objective)).sorted().map { plan.objectives[$0].name }
        progress.advance("\(names.joined(separator: ", ")) t=\(items[0].timestep) activation \(rounded(mean))")
        progress.event(
            "step",
            [
                ("objectives", .array(items.map { .string(plan.objectives[$0.objective].name) })),
                ("timestep", .integer(items[0].timestep)),
                ("seeds", .array(items.map { .integer(Int(plan.seeds[$0.seed])) })),
                ("step", .integer(step.index)), ("activation", .array(step.activations.map(JSON.number))),
                ("loss", .array(step.losses.map(JSON.number))),
            ])
    }

    @discardableResult
    private func writePictures(_ latents: Tensor, _ items: [DreamItem], suffix: String) throws -> [Bitmap] {
        let pictures = decoded(latents)
        for (item, picture) in zip(items, pictures) {
            let path = plan.stem(item) + suffix + ".png"
            let text = [PNGText("lvo", description(item).serialized()), PNGText("Software", "lvo \(Lvo.version)")]
            try PNG.write(picture, text: text, to: path, overwrite: plan.command.output.overwrite)
            if !suffix.isEmpty { progress.event("picture", [("path", .string(path))]) }
        }
        return pictures
    }

    /// Coupled results share a range of display, independent ones share nothing.
    private func decoded(_ latents: Tensor) -> [Bitmap] {
        let range = plan.command.output.display
        if plan.settings.coupling == .coupled { return Bitmap.pictures(decoder.decode(latents), range: range) }
        return (0..<latents.shape[0]).flatMap {
            Bitmap.pictures(decoder.decode(latents.slice($0..<$0 + 1)), range: range)
        }
    }

    /// - Parameter frames: per moment a picture of each item.
    private func writeAnimations(_ frames: [[Bitmap]], _ items: [DreamItem]) throws {
        for (index, item) in items.enumerated() {
            let path = plan.stem(item) + DreamPlan.animationEnding
            try APNG.write(
                frames.map { $0[index] }, milliseconds: 180, lastMilliseconds: 1500,
                text: [PNGText("lvo", description(item).serialized())], to: path, overwrite: plan.command.output.overwrite)
            progress.result(path)
        }
    }

    /// Everything that the result follows from. The same in picture, latent and record.
    private func description(_ item: DreamItem) -> JSON {
        [
            "version": .string(Lvo.version), "model": .string(plan.command.model.model),
            "layer": .string(plan.hook.name),
            "objective": .string(plan.objectives[item.objective].name), "timestep": .integer(item.timestep),
            "seed": .integer(Int(plan.seeds[item.seed])), "prompt": .string(plan.command.prompt.prompt ?? ""),
            "init": .string(plan.command.start), "latent_size": [.integer(plan.size.height), .integer(plan.size.width)],
            "settings": plan.settings.json, "command": .string(plan.repeating(item)),
        ]
    }

    private func runtime(seconds: Double, batch: Int) -> JSON {
        [
            "seconds": .number(seconds), "batch": .integer(batch), "threads": .integer(engine.threads.count),
            "instruction_set": .string(engine.kernels.instructionSet),
            "peak_memory_bytes": SystemMemory.peak.map { .integer($0) } ?? .null,
        ]
    }

    private func joined(_ parts: [Tensor]) -> Tensor {
        Tensor([parts.count] + parts[0].shape[1...], parts.flatMap(\.array))
    }

    private func rounded(_ value: Double) -> String { "\((value * 1000).rounded() / 1000)" }

    private func padded(_ step: Int) -> String {
        String(repeating: "0", count: max(0, 4 - "\(step)".count)) + "\(step)"
    }
}

/// What was noted at each step, quantity by quantity.
struct DreamHistory {
    private var steps: [DreamStep] = []
    private var seconds: [Double] = []

    mutating func append(_ step: DreamStep, seconds: Double) {
        steps.append(step)
        self.seconds.append(seconds)
    }

    /// - Parameter seconds: since the batch began.
    func json(latent: Int, group: Int) -> JSON {
        func numbers(_ value: (DreamStep) -> Double) -> JSON { .array(steps.map { .number(value($0)) }) }
        return [
            "activation": numbers { $0.activations[latent] },
            "batch_activation": numbers { $0.activations.reduce(0, +) / Double($0.activations.count) },
            "total_variation": numbers { $0.penalties[group].totalVariation },
            "range": numbers { $0.penalties[group].range }, "moment": numbers { $0.penalties[group].moment },
            "diversity": numbers { $0.diversity }, "loss": numbers { $0.losses[group] },
            "gradient_was_zero": .array(steps.map { .bool($0.isFlat[latent]) }),
            "seconds": .array(seconds.map { .number(($0 * 1000).rounded() / 1000) }),
        ]
    }
}
