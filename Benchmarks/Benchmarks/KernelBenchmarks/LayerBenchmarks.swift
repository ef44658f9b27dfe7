import Benchmark
import Ops
import Tensors

// Layers at the U-Net's sizes, forward and the gradient at the input. Verified against another way to the same
// numbers before they are timed: convolutions against the direct product, attention against its own rows alone.

func convolutionBenchmarks(_ engine: Engine, peak: Double, _ configuration: Benchmark.Configuration) {
    for (side, inputs, outputs) in [(64, 320, 320), (32, 640, 640), (16, 1280, 1280), (8, 1280, 1280)] {
        let weight = filled([outputs, inputs, 3, 3], seed: 5)
        let layer = Convolution(weight: Weight(name: "w", tensor: weight), bias: nil, engine: engine)
        let x = filled([1, side, side, inputs], seed: 6)
        let name = "convolution-\(side)x\(side)-\(inputs)-\(outputs)"
        let isRight = relativeError(layer.forward(x), layer.forward(x, algorithm: .direct)) < 1e-5
        let flop = 18 * Double(side * side * inputs * outputs)
        Benchmark(name, configuration: configuration) { benchmark in
            guard isRight else { return benchmark.error("wrong result") }
            time(benchmark, flop: flop, peak: peak) { blackHole(layer.forward(x)) }
        }
        Benchmark(name + "-gradient", configuration: configuration) { benchmark in
            time(benchmark, flop: flop, peak: peak) { blackHole(layer.backwardInput(x, inputShape: x.shape)) }
        }
    }
}

func attentionBenchmarks(_ engine: Engine, peak: Double, _ configuration: Benchmark.Configuration) {
    for (tokens, width) in [(4096, 40), (1024, 80), (256, 160)] {
        let shape = [1, tokens, 8 * width]
        let (query, key, value) = (filled(shape, seed: 7), filled(shape, seed: 8), filled(shape, seed: 9))
        let (out, saved) = Attention.forward(query: query, key: key, value: value, heads: 8, engine: engine)
        let firstRow = Attention.forward(
            query: Tensor([1, 1, 8 * width], Array(query.array[..<(8 * width)])), key: key, value: value, heads: 8,
            engine: engine).out
        let isRight = relativeError(Tensor(firstRow.shape, Array(out.array[..<(8 * width)])), firstRow) < 1e-5
        let flop = 4 * Double(tokens * tokens * 8 * width)
        Benchmark("attention-\(tokens)-tokens-8x\(width)", configuration: configuration) { benchmark in
            guard isRight else { return benchmark.error("wrong result") }
            time(benchmark, flop: flop, peak: peak) {
                blackHole(Attention.forward(query: query, key: key, value: value, heads: 8, engine: engine))
            }
        }
        Benchmark("attention-\(tokens)-tokens-8x\(width)-gradient", configuration: configuration) { benchmark in
            time(benchmark, flop: 2.5 * flop, peak: peak) {
                blackHole(
                    Attention.backwardInput(
                        query, query: query, key: key, value: value, out: out, saved: saved, heads: 8, engine: engine))
            }
        }
    }
}
