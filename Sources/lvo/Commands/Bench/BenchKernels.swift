import ArgumentParser
import Benchmarking
import Foundation
import Ops
import Tensors

struct BenchKernels: Benchmark {
    static let configuration = CommandConfiguration(
        commandName: "kernels", abstract: "The operations on one block of the U-Net's sizes.")

    @OptionGroup var options: BenchOptions
    @OptionGroup var precision: PrecisionOptions

    func measure() throws -> BenchResult {
        let engine = try options.runtime.engine(precision)
        let report = BenchReport(engine: engine)
        print(report.header)
        var measurements: [Timing] = []
        func measure(_ name: String, flops: Double = 0, bytes: Double = 0, _ body: () -> Void) {
            let measurement = Timing(name, repeats: options.repeats, flops: flops, bytes: bytes, body)
            measurements.append(measurement)
            print(report.line(measurement))
        }
        regions(engine)
        attention(engine, measure)
        memoryBound(engine, measure)
        return BenchResult(report: report, timings: measurements)
    }

    private typealias Measure = (String, Double, Double, () -> Void) -> Void

    /// What a parallel region costs beside its tasks.
    private func regions(_ engine: Engine) {
        func text(_ seconds: Double) -> String { String(format: "%.1f µs", 1e6 * seconds) }
        let threads = engine.threads
        print(
            "fork and join of \(threads.count) threads: \(text(ForkJoin.seconds(threads))); "
                + "by Dispatch: \(text(ForkJoin.secondsByDispatch(threads)))")
    }

    private func attention(_ engine: Engine, _ measure: Measure) {
        for (tokens, keys, width) in [(4096, 4096, 320), (1024, 1024, 640), (256, 256, 1280), (4096, 77, 320)] {
            let query = Tensor.filled([1, tokens, width]), key = Tensor.filled([1, keys, width])
            let value = Tensor.filled([1, keys, width], scale: 0.5), dOut = Tensor.filled([1, tokens, width], scale: 0.1)
            let product = 2 * Double(tokens * keys * width)
            let name = "attention \(tokens)×\(keys), 8 heads of \(width / 8)"
            measure(name, 2 * product, 0) {
                _ = Attention.forward(query: query, key: key, value: value, heads: 8, engine: engine)
            }
            let (out, saved) = Attention.forward(query: query, key: key, value: value, heads: 8, engine: engine)
            measure(name + " backward", 5 * product, 0) {
                _ = Attention.backwardInput(
                    dOut, query: query, key: key, value: value, out: out, saved: saved, heads: 8, engine: engine)
            }
        }
    }

    private func memoryBound(_ engine: Engine, _ measure: Measure) {
        let x = Tensor.filled([1, 64, 64, 320]), dy = Tensor.filled([1, 64, 64, 320])
        let ones = Weight(name: "ones", tensor: Tensor.filled([320]))
        let bytes = Double(x.count * 4)
        let norm = GroupNorm(weight: ones, bias: ones, groups: 32, epsilon: 1e-5, engine: engine)
        measure("group norm + SiLU 64×64×320", 0, 3 * bytes) { _ = norm.forward(x, silu: true) }
        let saved = norm.forward(x, silu: true).saved
        measure("group norm + SiLU backward", 0, 5 * bytes) {
            _ = norm.backwardInput(dy, x: x, saved: saved, silu: true)
        }
        let tokens = x.reshaped([1, 4096, 320])
        let layerNorm = LayerNorm(weight: ones, bias: ones, epsilon: 1e-5, engine: engine)
        measure("layer norm 4096×320", 0, 2 * bytes) { _ = layerNorm.forward(tokens) }
        let gate = Tensor.filled([1, 4096, 2560])
        measure("GEGLU 4096×2560", 0, Double(gate.count * 6)) { _ = GEGLU.forward(gate, engine: engine) }
        measure("sum of two maps 64×64×320", 0, 3 * bytes) { _ = Elementwise.add(x, dy, engine: engine) }
    }
}
