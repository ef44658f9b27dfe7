import Benchmark
import OpenMPBaseline
import Ops
import Tensors

// Each case is verified before it is timed: a wrong kernel prints no time.

let gigaflops = BenchmarkMetric.custom("GFLOP/s", polarity: .prefersLarger, useScalingFactor: false)
let shareOfPeak = BenchmarkMetric.custom("% of tile peak", polarity: .prefersLarger, useScalingFactor: false)

/// A filled matrix; the same for the same seed.
func filled(_ shape: [Int], seed: UInt64) -> Tensor {
    var state = seed
    return Tensor(
        shape,
        (0..<shape.reduce(1, *)).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Float(Int64(bitPattern: state) >> 40) / 8_388_608
        })
}

func seconds(_ body: () -> Void) -> Double {
    let start = ContinuousClock.now
    body()
    let parts = (ContinuousClock.now - start).components
    return Double(parts.seconds) + Double(parts.attoseconds) * 1e-18
}

/// GFLOP/s of the register tile alone on data in the first-level cache, one thread: the share's denominator.
func tilePeak(_ engine: Engine) -> Double {
    let gemm = engine.kernels.gemm
    let depth = 256, rows = gemm.tileRows * 8
    let a = filled([rows, depth], seed: 1), b = filled([depth, gemm.panelWidth], seed: 2)
    let c = Tensor.zeros([rows, gemm.panelWidth])
    let flop = Double(2 * rows * depth * gemm.panelWidth * 200)
    let best = (0..<10).map { _ in
        seconds {
            for _ in 0..<200 {
                gemm.multiply(
                    a.pointer, rows, depth, b.pointer, gemm.panelWidth, c.pointer, gemm.panelWidth, false)
            }
        }
    }.min()!
    return flop / best / 1e9
}

/// ‖a − b‖ / ‖b‖.
func relativeError(_ a: Tensor, _ b: Tensor) -> Double {
    let (x, y) = (a.array, b.array)
    let difference = zip(x, y).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
    return (difference / y.reduce(0.0) { $0 + Double($1 * $1) }).squareRoot()
}

func time(_ benchmark: Benchmark, flop: Double, peak: Double, _ body: () -> Void) {
    let best = (0..<8).map { _ in seconds(body) }.min()!
    benchmark.measurement(gigaflops, Int(flop / best / 1e9))
    benchmark.measurement(shareOfPeak, Int(100 * flop / best / 1e9 / peak))
}

let benchmarks: @Sendable () -> Void = {
    let configuration = Benchmark.Configuration(
        metrics: [gigaflops, shareOfPeak], warmupIterations: 1, maxDuration: .seconds(3), maxIterations: 5,
        thresholds: [
            // Another machine has another speed; its share of its own peak should be near ours.
            gigaflops: .init(relative: [.p90: 95]), shareOfPeak: .init(relative: [.p90: 40]),
        ])
    guard let engine = try? Engine() else { return }
    let peak = tilePeak(engine) * Double(engine.threads.count)

    for (m, n, k) in [(4096, 320, 320), (4096, 2560, 320), (1024, 640, 640), (256, 1280, 1280), (64, 1280, 1280)] {
        let x = filled([m, k], seed: 3), weight = filled([n, k], seed: 4)
        let layer = Linear(weight: Weight(name: "w", tensor: weight), engine: engine)
        let transposed = Tensor([k, n])
        for row in 0..<n { for column in 0..<k { transposed.pointer[column * n + row] = weight.pointer[row * k + column] } }
        let expected = Tensor([m, n])
        baseline_sgemm(
            Int32(m), Int32(n), Int32(k), x.pointer, transposed.pointer, expected.pointer, Int32(engine.threads.count))
        guard relativeError(layer.forward(x), expected) < 1e-5 else {
            Benchmark("linear-\(m)x\(n)x\(k)-wrong", configuration: configuration) { $0.error("wrong result") }
            continue
        }
        let flop = 2 * Double(m) * Double(n) * Double(k)
        Benchmark("linear-\(m)x\(n)x\(k)-lvo", configuration: configuration) { benchmark in
            time(benchmark, flop: flop, peak: peak) { blackHole(layer.forward(x)) }
        }
        Benchmark("linear-\(m)x\(n)x\(k)-openmp", configuration: configuration) { benchmark in
            time(benchmark, flop: flop, peak: peak) {
                baseline_sgemm(
                    Int32(m), Int32(n), Int32(k), x.pointer, transposed.pointer, expected.pointer,
                    Int32(engine.threads.count))
            }
        }
    }
    convolutionBenchmarks(engine, peak: peak, configuration)
    attentionBenchmarks(engine, peak: peak, configuration)
}
