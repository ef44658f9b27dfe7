import Experiments
import Ops
import StableDiffusion
import Tensors
import Visualization

extension NetworkModel {
    public func dream(
        _ subject: Subject, timestep: Int, settings: DreamStageSettings, seeds: [Int], start: DreamStart,
        size: DrawSettings, state: [String: Tensor]?, check: (_ state: () -> DreamState) throws -> Void
    ) throws -> DreamCourse {
        let request = DreamRequest(
            layer: subject.site.layer, objectives: [try objective(subject)], timesteps: [timestep],
            seeds: seeds.map { UInt64($0) }, start: start,
            text: TextSource(prompt: settings.prompt, emphasis: settings.emphasis), width: size.width,
            height: size.height, settings: try settings.dreamSettings())
        let experiment = try DreamExperiment(request, session: session)
        let items = experiment.batches[0]
        let outcome = try experiment.run(items, snapshotEvery: settings.snapshotEvery, state: state) {
            try check($0.state)
        }
        return DreamCourse(
            latents: outcome.latents, steps: outcome.snapshots.map(\.step),
            snapshots: try outcome.snapshots.map { try experiment.pictures($0.latents) }, records: outcome.records,
            texts: items.map(experiment.pictureText), command: experiment.command(items))
    }

    public func poolCount(_ size: DrawSettings) throws -> Int { NaturalPool.defaultCount(try latentSize(size)) }

    public func pool(_ range: Range<Int>, size: DrawSettings, check: () throws -> Void) throws -> Tensor {
        try session.poolPart(range, size: latentSize(size), check: check)
    }

    public func starts(
        _ subjects: [Subject], in pool: NaturalPool, timestep: Int, count: Int, settings: DreamStageSettings,
        check: () throws -> Void
    ) throws -> [[PoolStart]] {
        let size = LatentSize(batch: 1, height: pool.latents.shape[2], width: pool.latents.shape[3])
        let text = TextSource(prompt: settings.prompt, emphasis: settings.emphasis)
        let hook = try session.hook(subjects[0].site.layer)
        let dreamer = try session.dreamer(hook, text: text, size: size)
        let parameters = try settings.dreamSettings()
        let pooling = try parameters.where
            .pooling(of: hook, latents: (size.height, size.width), in: session.reference)
        let objectives = try subjects.map { subject in
            var objective = try objective(subject)
            objective.pooling = pooling
            return objective
        }
        return try PoolSearch(pool, dreamer: dreamer).starts(
            objectives, timestep: timestep, spread: parameters.timestepSpread, count: count, check: check)
    }

    public func activations(
        of latents: Tensor, at sites: [Site], places: [Space: Where], timestep: Int, draws: Int
    ) throws -> [Site: [[Float]]] {
        let size = LatentSize(batch: latents.shape[0], height: latents.shape[2], width: latents.shape[3])
        var sums: [Site: [[Double]]] = [:]
        for layer in Set(sites.map(\.layer)).sorted() {
            let dreamer = try session.dreamer(session.hook(layer), size: size)
            let poolings = try Dictionary(uniqueKeysWithValues: Space.allCases.map { space in
                (space, try pooling(layer, places[space], height: size.height, width: size.width))
            })
            try dreamer.observe(latents, timestep: timestep, noiseDraws: draws) { activation in
                for site in sites where site.layer == layer {
                    let values = site.space == .channels ? activation : try encoder(layer).preActivations(activation)
                    Self.add(values, poolings[site.space] ?? .mean, to: &sums[site, default: []])
                }
            }
        }
        return sums.mapValues { $0.map { row in row.map { Float($0 / Double(draws)) } } }
    }

    func objective(_ subject: Subject) throws -> Objective {
        switch subject.site.space {
        case .channels: .channel(subject.index)
        case .features: .feature(subject.index, of: try session.autoencoder(subject.site.layer))
        }
    }

    /// Adds `[B, N, D]`, reduced over positions, to `[B][D]`.
    private static func add(_ values: Tensor, _ pooling: Pooling, to sums: inout [[Double]]) {
        let (batch, positions, width) = (values.shape[0], values.shape[1], values.shape[2])
        if sums.isEmpty { sums = Array(repeating: Array(repeating: 0, count: width), count: batch) }
        for sample in 0..<batch {
            let map = values.slice(sample..<sample + 1).reshaped([positions, width])
            for (channel, value) in pooling.reduce(map).enumerated() { sums[sample][channel] += value }
        }
    }
}
