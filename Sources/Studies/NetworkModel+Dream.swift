import Pictures
import StableDiffusion
import Tensors
import Visualization

extension NetworkModel {
    public func dream(
        _ subject: Subject, timestep: Int, settings: DreamStageSettings, seeds: [Int], start: Tensor?,
        size: DrawSettings, state: [String: Tensor]?, check: (_ state: () -> DreamState) throws -> Void
    ) throws -> DreamCourse {
        let start = try start ?? noise(seeds, size)
        let latentSize = LatentSize(batch: seeds.count, height: start.shape[2], width: start.shape[3])
        let dreamer = try dreamer(subject.site.layer, prompt: settings.prompt, size: latentSize)
        var run = dreamer.run(
            start: start, objectives: [try objective(subject)], timestep: timestep, seeds: seeds.map { UInt64($0) },
            settings: try settings.dreamSettings())
        var notes = DreamNotes(start: start)
        if let state, let kept = DreamNotes(state: state), run.restore(state) { notes = kept }
        while let step = run.next() {
            notes.add(step)
            if run.stepsDone % settings.snapshotEvery == 0 && !run.isFinished {
                notes.addSnapshot(run.latent, step: run.stepsDone)
            }
            try check { run.state + notes.state }
        }
        notes.addSnapshot(run.latent, step: run.stepsDone)
        return DreamCourse(
            latents: run.latent, steps: notes.steps, snapshots: try notes.snapshots.map(pictures),
            activations: notes.activations, wasFlat: notes.wasFlat, diverged: run.divergedAt.contains { $0 != nil })
    }

    public func activations(
        of latents: Tensor, at sites: [Site], timestep: Int, draws: Int
    ) throws -> [Site: [[Float]]] {
        let batch = latents.shape[0]
        let size = LatentSize(batch: batch, height: latents.shape[2], width: latents.shape[3])
        var sums: [Site: [[Double]]] = [:]
        for layer in Set(sites.map(\.layer)).sorted() {
            let dreamer = try dreamer(layer, prompt: "", size: size)
            let unetLayer = dreamer.layer(at: timestep)
            for draw in 0..<draws {
                // The same draws for whatever is measured at a time step, so that results are compared under equal noise.
                let random = CounterRandom(seed: 0, purpose: .noise, unit: UInt64(timestep), step: .max - UInt64(draw))
                let noise = Self.repeated(random.normals([1] + latents.shape.dropFirst()), count: batch)
                let seen = dreamer.schedule.addNoise(latents, noise: noise, timestep: timestep)
                let activation = unetLayer.activation(seen)
                for site in sites where site.layer == layer {
                    let values = site.space == .channels ? activation : try encoder(layer).preActivations(activation)
                    Self.addMeans(values, to: &sums[site, default: []])
                }
            }
        }
        return sums.mapValues { $0.map { row in row.map { Float($0 / Double(draws)) } } }
    }

    private func objective(_ subject: Subject) throws -> Objective {
        switch subject.site.space {
        case .channels: .channel(subject.index)
        case .features: .feature(subject.index, of: try encoder(subject.site.layer).autoencoder)
        }
    }

    private func noise(_ seeds: [Int], _ size: DrawSettings) throws -> Tensor {
        let (height, width) = try latentSize(size)
        let parts = seeds.map {
            Dreamer.noise(seed: UInt64($0), channels: latentChannels, height: height, width: width).array
        }
        return Tensor([seeds.count, latentChannels, height, width], parts.flatMap { $0 })
    }

    private func pictures(_ latents: Tensor) throws -> [Bitmap] { Bitmap.pictures(try decoder().decode(latents)) }

    private static func repeated(_ tensor: Tensor, count: Int) -> Tensor {
        let values = tensor.array
        return Tensor([count] + tensor.shape.dropFirst(), (0..<count).flatMap { _ in values })
    }

    /// Adds the means over positions of `[B, N, D]` to `[B][D]`.
    private static func addMeans(_ values: Tensor, to sums: inout [[Double]]) {
        let (batch, positions, width) = (values.shape[0], values.shape[1], values.shape[2])
        if sums.isEmpty { sums = Array(repeating: Array(repeating: 0, count: width), count: batch) }
        for sample in 0..<batch {
            for channel in 0..<width {
                var sum = 0.0
                for position in 0..<positions {
                    sum += Double(values.pointer[(sample * positions + position) * width + channel])
                }
                sums[sample][channel] += sum / Double(positions)
            }
        }
    }
}

extension DreamStageSettings {
    /// The section's values as the optimization takes them.
    ///
    /// - Throws: `SimpleFailure(.usage)` for a value outside its range.
    public func dreamSettings() throws -> DreamSettings {
        var settings = DreamSettings()
        settings.steps = integer("steps")
        settings.learningRate = number("learning_rate")
        settings.penalties.totalVariation = number("total_variation")
        settings.penalties.range = number("range")
        settings.penalties.moment = number("moment")
        settings.sigmaStart = number("sigma_start")
        settings.sigmaEnd = number("sigma_end")
        settings.spectralFilter = flag("spectral_filter")
        settings.jitter = integer("jitter")
        settings.rotate = number("rotate")
        settings.scale = number("scale")
        settings.scheduleNoise = flag("schedule_noise")
        settings.noiseDraws = integer("noise_draws")
        settings.rectifier = Rectifier(rawValue: text("rectifier")) ?? .relu
        settings.coupling = Coupling(rawValue: text("coupling")) ?? .coupled
        try settings.validate()
        return settings
    }
}
