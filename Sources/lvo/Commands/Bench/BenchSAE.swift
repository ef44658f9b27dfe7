import ArgumentParser
import Checkpoints
import Foundation
import Ops
import SparseAutoencoders
import Tensors

struct BenchSAE: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sae", abstract: "Time training steps of a sparse autoencoder on random activations.")

    @Option(help: "Channels of the layer.")
    var dIn = 1280

    @Option(help: "Features.")
    var latents = 20480

    @Option(help: "Active features per token.")
    var k = 32

    @Option(help: "Tokens of a batch.")
    var batch = 4096

    @Option(help: "Which activations are kept.")
    var kind = SelectionRule.batchTopK

    @Flag(help: "With AuxK for a twentieth of the features, taken as dead.")
    var auxk = false

    @Option(help: "How many features are taken as dead; 0 leaves AuxK out.")
    var dead: Int?

    @OptionGroup var options: BenchOptions

    private var deadCount: Int { dead ?? (auxk ? latents / 20 : 0) }

    func validate() throws {
        for (name, value) in [("d-in", dIn), ("latents", latents), ("k", k), ("batch", batch)]
        where value < 1 {
            throw ValidationError("--\(name) \(value): expected at least 1")
        }
        if !(0..<latents).contains(deadCount) {
            throw ValidationError("--dead \(deadCount): expected 0..<\(latents)")
        }
        if k > latents { throw ValidationError("--k \(k): there are \(latents) latents") }
    }

    func run() throws {
        let engine = try options.runtime.engine()
        let configuration = SAEConfiguration(inputWidth: dIn, numLatents: latents, k: k, rule: kind)
        let x = CounterRandom(seed: 1, purpose: .noise).normals([batch, dIn])
        let autoencoder = SparseAutoencoder(configuration: configuration, firstBatch: x, seed: 0, engine: engine)
        let gradients = SAEGradients(for: autoencoder)
        let optimizer = SAEAdam(for: autoencoder, engine: engine)
        let count = deadCount
        let dead = count == 0 ? [] : (0..<latents).map { $0 * count / latents != ($0 + 1) * count / latents }
        var seconds: [Double] = []
        for step in 1...options.repeats + 1 {
            let start = ContinuousClock.now
            autoencoder.normalizeDecoder(engine: engine)
            _ = SparseLoss(autoencoder, engine: engine)
                .evaluate(x, positions: min(256, batch), dead: dead, gradients: gradients)
            let norm = gradients.norm(engine: engine)
            optimizer.update(autoencoder, gradients, norm: norm, step: step, learningRate: 1e-4)
            if step > 1 { seconds.append((ContinuousClock.now - start) / .seconds(1)) }
        }
        try report(seconds.sorted(), engine)
    }

    private func report(_ seconds: [Double], _ engine: Engine) throws {
        let median = seconds[seconds.count / 2]
        let peak = SystemMemory.peak ?? 0
        let result: JSON = [
            "name": "sae_training_step", "d_in": .integer(dIn), "latents": .integer(latents), "k": .integer(k),
            "batch": .integer(batch), "kind": .string(kind.rawValue), "dead": .integer(deadCount),
            "seconds_median": .number(median), "seconds_min": .number(seconds[0]),
            "tokens_per_second": .number(Double(batch) / median), "peak_rss_bytes": .integer(peak),
            "threads": .integer(engine.threads.count), "kernels": .string(engine.kernels.instructionSet),
        ]
        print(
            String(
                format: "SAE %d → %d, k %d, %@, batch %d, %d dead: %.3f s (min %.3f), %.0f tokens/s, peak %.2f GB",
                dIn, latents, k, kind.rawValue, batch, deadCount, median, seconds[0], Double(batch) / median,
                Double(peak) / 1e9))
        if let json = options.json { try result.write(to: json, overwrite: true) }
    }
}

extension SelectionRule: ExpressibleByArgument {}
