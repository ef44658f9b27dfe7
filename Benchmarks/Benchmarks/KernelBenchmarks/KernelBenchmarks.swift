import Benchmark
import Benchmarking
import LVO

// Each case is verified before it is timed: a wrong kernel prints no time.

let shareOfPeak = BenchmarkMetric.custom("% of tile peak", polarity: .prefersLarger, useScalingFactor: false)
let gigaflops = BenchmarkMetric.custom("GFLOP/s", polarity: .prefersLarger, useScalingFactor: false)

/// What all cases share.
struct Harness: Sendable {
    let engine: Engine
    /// GFLOP/s of the register tile on all threads.
    let peak: Double

    init() throws {
        engine = try Engine()
        peak = engine.measureTilePeak()
    }

    private var configuration: Benchmark.Configuration {
        // Another machine has another speed; its share of its own peak should be near ours.
        Benchmark.Configuration(
            metrics: [gigaflops, shareOfPeak], warmupIterations: 1, maxDuration: .seconds(3), maxIterations: 5,
            thresholds: [shareOfPeak: .init(relative: [.p90: 40])])
    }

    /// A benchmark that times `body` if `errors`, ‖error‖/‖result‖ of everything that it computes, are small.
    func add(_ name: String, flop: Double, errors: [Double], _ body: @escaping @Sendable () -> Void) {
        Benchmark(name, configuration: configuration) { benchmark in
            guard errors.allSatisfy({ $0 < 1e-5 }) else { return benchmark.error("wrong by \(errors)") }
            let measured = Timing(name, repeats: 8, flops: flop, body)
            let rate = flop / measured.minimum / 1e9
            benchmark.measurement(gigaflops, Int(rate))
            benchmark.measurement(shareOfPeak, Int(100 * rate / peak))
        }
    }
}

let benchmarks: @Sendable () -> Void = {
    guard let harness = try? Harness() else { return }
    linearBenchmarks(harness)
    convolutionBenchmarks(harness)
    attentionBenchmarks(harness)
}
