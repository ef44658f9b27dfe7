import ArgumentParser
import Benchmarking
import Ops
import Tensors

struct BenchLayers: Benchmark {
    static let configuration = CommandConfiguration(
        commandName: "layers", abstract: "Linear layers and convolutions of SD 1.5's shapes, forward and backward.")

    @OptionGroup var options: BenchOptions
    @OptionGroup var precision: PrecisionOptions

    @Option(help: "Samples in the batch.")
    var batch = 1

    @Flag(help: "Compare the convolution algorithms that the precision has instead of taking the rule's choice.")
    var algorithms = false

    func validate() throws {
        if batch < 1 { throw ValidationError("--batch \(batch): expected at least 1") }
    }

    func measure() throws -> BenchResult {
        let engine = try options.runtime.engine(precision)
        let report = BenchReport(engine: engine)
        print(report.header)
        var measurements: [Timing] = []
        func measure(_ name: String, _ flops: Double, _ body: () -> Void) {
            let measurement = Timing(name, repeats: options.repeats, flops: flops, body)
            measurements.append(measurement)
            print(report.line(measurement))
        }
        if !algorithms { linear(engine, measure) }
        convolutions(engine, measure)
        return BenchResult(report: report, timings: measurements)
    }

    private typealias Measure = (String, Double, () -> Void) -> Void

    private func linear(_ engine: Engine, _ measure: Measure) {
        let shapes = [
            (4096, 320, 320), (4096, 320, 2560), (4096, 1280, 320), (1024, 640, 640), (1024, 640, 5120),
            (1024, 2560, 640), (256, 1280, 1280), (256, 1280, 10240), (256, 5120, 1280), (64, 1280, 1280),
        ]
        for (tokens, inputs, outputs) in shapes {
            let rows = tokens * batch
            let layer = Linear(weight: Weight.filled([outputs, inputs]), engine: engine)
            let x = Tensor.filled([rows, inputs]), dy = Tensor.filled([rows, outputs])
            let flops = 2 * Double(rows) * Double(inputs * outputs)
            measure("linear \(rows)×\(inputs)→\(outputs)", flops) { _ = layer.forward(x) }
            measure("linear \(rows)×\(inputs)→\(outputs) backward", flops) { _ = layer.backwardInput(dy) }
        }
    }

    private func convolutions(_ engine: Engine, _ measure: Measure) {
        let shapes = [
            (64, 320, 320), (64, 960, 320), (32, 640, 640), (32, 1920, 640), (16, 1280, 1280), (16, 2560, 1280),
            (8, 1280, 1280), (8, 2560, 1280),
        ]
        for (side, inputs, outputs) in shapes {
            let layer = Convolution(weight: Weight.filled([outputs, inputs, 3, 3]), bias: nil, engine: engine)
            let x = Tensor.filled([batch, side, side, inputs]), dy = Tensor.filled([batch, side, side, outputs])
            let flops = 18 * Double(batch * side * side) * Double(inputs * outputs)
            let rule = layer.algorithm(height: side, width: side)
            for algorithm in algorithms ? layer.algorithms : [rule] {
                let name = "conv \(batch)×\(side)×\(side), \(inputs)→\(outputs), \(algorithm.rawValue)"
                    + (algorithms && algorithm == rule ? " (the rule's)" : "")
                measure(name, flops) { _ = layer.forward(x, algorithm: algorithm) }
                measure(name + " backward", flops) {
                    _ = layer.backwardInput(dy, inputShape: x.shape, algorithm: algorithm)
                }
            }
        }
    }
}
