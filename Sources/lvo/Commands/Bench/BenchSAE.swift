import ArgumentParser
import Benchmarking
import Experiments
import Files
import Foundation
import Ops
import Parallel
import SparseAutoencoders
import Tensors

struct BenchSAE: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sae", abstract: "Time training steps of a sparse autoencoder on random activations.",
        discussion: """
            Prints a step's time and that of each of its passes beside the register tile's peak and the memory's \
            bandwidth, both measured in the same run. Bytes are those of the rows that a pass reads and writes; where \
            they exceed the memory's bandwidth the caches served them.
            """)

    @Option(help: "Channels of the layer.")
    var dIn = SAETrainingStep.sdSize.inputWidth

    @Option(help: "Features.")
    var latents = SAETrainingStep.sdSize.numLatents

    @Option(help: "Active features per token.")
    var k = SAETrainingStep.sdSize.k

    @Option(help: "Tokens of a batch.")
    var batch = SAETrainingStep.sdBatch

    @Option(help: "Which activations are kept.")
    var kind = SelectionRule.batchTopK

    @Flag(help: "With AuxK for a twentieth of the features, taken as dead.")
    var auxk = false

    @Option(help: "How many features are taken as dead; 0 leaves AuxK out.")
    var dead: Int?

    @OptionGroup var precision: PrecisionOptions
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
        if auxk, dead != nil { throw ValidationError("--auxk and --dead exclude each other") }
        if k > latents { throw ValidationError("--k \(k): there are \(latents) latents") }
    }

    func run() throws {
        try AutoencoderSettings.checkBatch(batch, latents: latents)
        let engine = try options.runtime.engine(precision)
        let training = SAETrainingStep(
            SAEConfiguration(inputWidth: dIn, numLatents: latents, k: k, rule: kind), batch: batch, dead: deadCount,
            engine: engine)
        var passes = PassTimes()
        var seconds: [Double] = []
        for step in 1...options.repeats + 1 {
            if step == 2 { passes = PassTimes() }
            let start = ContinuousClock.now
            training.run(step: step, passes: passes)
            if step > 1 { seconds.append((ContinuousClock.now - start) / .seconds(1)) }
        }
        try report(seconds.sorted(), passes.passes, engine)
    }

    private func report(_ seconds: [Double], _ passes: [PassTimes.Pass], _ engine: Engine) throws {
        let median = seconds[seconds.count / 2]
        let peak = Machine.peakMemory ?? 0
        let table = BenchReport(engine: engine)
        let lines = passes.map { Timing($0.name, seconds: $0.seconds, flops: $0.flops, bytes: $0.bytes) }
        // Before the bandwidth is measured, which takes memory of its own.
        let passObjects = lines.map(table.json)
        let bandwidth = BenchReport.memoryBandwidth(engine)
        print(table.header)
        for line in lines { print(table.line(line)) }
        print(
            String(
                format: "memory %.1f GB/s\nSAE %d → %d, k %d, %@, batch %d, %d dead: %.3f s (min %.3f), %.0f tokens/s, "
                    + "peak %.2f GB",
                bandwidth, dIn, latents, k, kind.rawValue, batch, deadCount, median, seconds[0],
                Double(batch) / median, Double(peak) / 1e9))
        guard let json = options.json else { return }
        let result: JSON = [
            "name": "sae_training_step", "d_in": .integer(dIn), "latents": .integer(latents), "k": .integer(k),
            "batch": .integer(batch), "kind": .string(kind.rawValue), "dead": .integer(deadCount),
            "seconds_median": .number(median), "seconds_min": .number(seconds[0]),
            "tokens_per_second": .number(Double(batch) / median), "peak_rss_bytes": .integer(peak),
            "precision": .string(engine.precision.rawValue),
            "threads": .integer(engine.threads.count), "kernels": .string(engine.kernels.instructionSet),
            "peak_gflops": .number(table.peak), "memory_gigabytes_per_second": .number(bandwidth),
            "passes": .array(passObjects),
        ]
        try result.write(to: json, overwrite: true)
    }
}

extension BenchReport {
    /// Gigabytes a second of `b ← a + b` over arrays of 256 MB, all threads: two streams in, one out.
    static func memoryBandwidth(_ engine: Engine) -> Double {
        let (count, grain) = (1 << 26, 1 << 16)
        let (a, b) = (Tensor.zeros([count]), Tensor.zeros([count]))
        let best = (0..<5).map { _ in
            Timing.time {
                engine.threads.forRanges(count, grain: grain) { range, _ in
                    let (source, target) = (a.pointer + range.lowerBound, b.pointer + range.lowerBound)
                    _ = engine.kernels.sparse.combine(source, 1, target, 1, range.count, target)
                }
            }
        }.min() ?? 1
        return 12 * Double(count) / best / 1e9
    }
}

extension SelectionRule: ExpressibleByArgument {}
