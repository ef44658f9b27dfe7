import Checkpoints
import Files
import Ops
import SparseAutoencoders
import StableDiffusion
import Tensors
import Testing
import TestSupport

import Visualization

/// Whole runs of the reference implementation on a small U-Net with synthetic weights, every random draw injected.
@Suite struct RecordedRunTests {
    let golden: Golden
    let config: UNetConfig
    let hook: HookPoint
    let autoencoder: SparseAutoencoder

    static let tolerance = 1e-3

    init() throws {
        golden = try Golden("lvo_runs")
        config = try UNetConfig(ConfigFile(path: Golden.path("unet_a.config.json")))
        hook = try config.hookPoint(try #require(golden.json["hook"]?.string))
        let weight = try golden("sae/encoder.weight")
        autoencoder = SparseAutoencoder(
            configuration: SAEConfiguration(inputWidth: weight.shape[1], numLatents: weight.shape[0], k: 1),
            encoderWeight: weight, encoderBias: try golden("sae/encoder.bias"), decoderWeight: try golden("sae/W_dec"),
            decoderBias: try golden("sae/b_dec"))
    }

    func dreamer(threads: Int? = nil) throws -> Dreamer {
        let engine = try Engine(threads: threads)
        let weights = try SyntheticWeights.store(config.manifest)
        let unet = try UNet(config: config, weights: weights, upTo: hook, engine: engine)
        return Dreamer(
            unet: unet, hook: hook, text: unet.prepare(context: try golden("context")), schedule: .stableDiffusion15)
    }

    func settings(_ run: JSON) throws -> DreamSettings {
        func number(_ key: String) throws -> Double { try #require(run[key]?.double, "\(key)") }
        var settings = DreamSettings()
        settings.steps = try #require(run["steps"]?.int)
        settings.learningRate = try number("lr")
        settings.penalties = Penalties(
            totalVariation: try number("tv"), range: try number("range"), rangeThreshold: try number("range_threshold"),
            moment: try number("moment"))
        (settings.sigmaStart, settings.sigmaEnd) = (try number("sigma_start"), try number("sigma_end"))
        settings.spectralFilter = try #require(run["spectral"]?.bool as Bool?)
        settings.jitter = try #require(run["jitter"]?.int)
        (settings.rotate, settings.scale) = (try number("rotate"), try number("scale"))
        settings.scheduleNoise = try #require(run["noise"]?.bool as Bool?)
        return settings
    }

    /// The recorded draws of all steps.
    func draws(_ tag: String, _ log: [JSON], noise: Bool) throws -> [StepDraws] {
        try log.enumerated().map { step, entry in
            var augmentation = Augmentation.identity
            if let roll = entry["roll"]?.array?.compactMap(\.int), roll.count == 2 {
                (augmentation.rollY, augmentation.rollX) = (roll[0], roll[1])
            }
            if let angle = entry["angle"]?.double, let scale = entry["scale"]?.double {
                (augmentation.angle, augmentation.scale, augmentation.warps) = (angle, scale, true)
            }
            return StepDraws(
                augmentations: [augmentation], noise: noise ? try golden("\(tag)/noise/\(step)") : nil)
        }
    }

    @Test(arguments: ["plain", "raw", "sae", "strong"]) func run(_ tag: String) throws {
        let record = try #require(golden.json["runs"]?[tag])
        let log = try #require(record["log"]?.array)
        let settings = try settings(record)
        let feature = try #require(record["feature"]?.int)
        let isEncoded = try #require(record["encoded"]?.bool as Bool?)
        let dreamer = try dreamer()
        let timestep = try #require(record["timestep"]?.int)
        let draws = try draws(tag, log, noise: settings.scheduleNoise)
        var run = DreamRun(
            start: try golden("\(tag)/start"),
            objectives: [isEncoded ? .feature(feature, of: autoencoder) : .channel(feature)],
            layer: dreamer.layer(at: timestep), shares: dreamer.schedule.shares(at: timestep), settings: settings,
            draws: { step, _ in draws[step] })
        #expect(relativeError(run.lossGradient().gradient, try golden("\(tag)/grad0")) < Self.tolerance)
        for expected in log {
            let next = run.next()
            let step = try #require(next)
            try compare(step, expected)
            if step.index == 0 { #expect(relativeError(run.latent, try golden("\(tag)/latent1")) < Self.tolerance) }
        }
        #expect(run.isFinished)
        #expect(relativeError(run.latent, try golden("\(tag)/latent\(settings.steps)")) < Self.tolerance)
    }

    func compare(_ step: DreamStep, _ expected: JSON) throws {
        let activation = try #require(expected["activation"]?.double)
        let bound = Self.tolerance * max(1, abs(activation))
        let found = step.activations.reduce(0, +) / Double(step.activations.count)
        #expect(abs(found - activation) < bound, "activation of step \(step.index)")
        #expect(abs(step.losses[0] - (try #require(expected["loss"]?.double))) < bound, "loss of step \(step.index)")
        let penalties = try #require(expected["penalties"]?.array).compactMap(\.double)
        let own = step.penalties[0]
        for (value, reference) in zip([own.totalVariation, own.range, own.moment], penalties) {
            #expect(abs(value - reference) < 1e-3 * max(abs(reference), 0.01), "penalty of step \(step.index)")
        }
    }

    /// The whole loop, U-Net included: the same bytes for any number of threads, and for a latent alone or in company.
    @Test func bytesDependOnNeitherThreadsNorCompany() throws {
        var settings = DreamSettings(.sae)
        settings.steps = 3
        settings.coupling = .independent
        settings.rectifier = .leaky
        let objectives = [Objective.feature(11, of: autoencoder), .channel(5), .feature(3, of: autoencoder)]
        func latent(threads: Int, _ chosen: [Int]) throws -> Tensor {
            let starts = chosen.map { Dreamer.noise(seed: UInt64(100 + $0), height: 16, width: 24) }
            var run = try dreamer(threads: threads).run(
                start: Tensor([chosen.count, 4, 16, 24], starts.flatMap(\.array)),
                objectives: chosen.map { objectives[$0] }, timestep: 301, seeds: chosen.map { UInt64(100 + $0) },
                settings: settings)
            while run.next() != nil {}
            return run.latent
        }
        let reference = try latent(threads: 1, [0, 1, 2])
        #expect(bits(try latent(threads: 2, [0, 1, 2])) == bits(reference))
        #expect(bits(try latent(threads: 2, [2])) == bits(reference.slice(2..<3)))
        #expect(bits(try latent(threads: 1, [1, 0])) == bits(reference.slice(1..<2)) + bits(reference.slice(0..<1)))
    }

    /// A dream raises what it is after: by the measure without augmentation, over several draws of noise.
    @Test func theMeasureRises() throws {
        var settings = DreamSettings(.raw)
        settings.steps = 25
        let dreamer = try dreamer()
        let start = Dreamer.noise(seed: 8, height: 16, width: 16)
        func measure(_ latent: Tensor) throws -> Double {
            try dreamer.measure(latent, objectives: [.channel(5)], timestep: 301)[0]
        }
        var run = try dreamer.run(
            start: start, objectives: [.channel(5)], timestep: 301, seeds: [8], settings: settings)
        while run.next() != nil {}
        #expect(try measure(run.latent) > measure(start) + 0.5)
    }
}
