import Benchmark
import Benchmarking
import LVO
import OpenMPBaseline
import ReferenceKernels

// Linear layers at the U-Net's sizes, beside a plain C product with OpenMP.

func linearBenchmarks(_ harness: Harness) {
    let engine = harness.engine
    let threads = Int32(engine.threads.count)
    for (m, n, k) in [(4096, 320, 320), (4096, 2560, 320), (1024, 640, 640), (256, 1280, 1280), (64, 1280, 1280)] {
        let x = Tensor.filled([m, k], seed: 3), dy = Tensor.filled([m, n], seed: 5)
        let weight = Tensor.filled([n, k], seed: 4)
        let layer = Linear(weight: Weight(name: "w", tensor: weight), engine: engine)
        let transposed = Tensor([k, n]), product = Tensor([m, n])
        for row in 0..<n { for column in 0..<k { transposed.pointer[column * n + row] = weight.pointer[row * k + column] } }
        let baseline = { @Sendable in
            baseline_sgemm(Int32(m), Int32(n), Int32(k), x.pointer, transposed.pointer, product.pointer, threads)
        }
        baseline()
        let places = [0, 1, m / 2 + 1, m - 1]
        let expected = Reference.linear(
            x.rows(places).map(Double.init), weight: weight.doubles, bias: nil, inputs: k)
        // The gradient at the input is the product with the transposed weight.
        let expectedGradient = Reference.linear(
            dy.rows(places).map(Double.init), weight: transposed.doubles, bias: nil, inputs: n)
        let flop = 2 * Double(m) * Double(n) * Double(k)
        let name = "linear-\(m)x\(n)x\(k)"
        harness.add(
            name + "-lvo", flop: flop, errors: [relativeError(layer.forward(x).rows(places), expected)]
        ) { blackHole(layer.forward(x)) }
        harness.add(
            name + "-gradient", flop: flop,
            errors: [relativeError(layer.backwardInput(dy).rows(places), expectedGradient)]
        ) { blackHole(layer.backwardInput(dy)) }
        harness.add(
            name + "-openmp", flop: flop, errors: [relativeError(product.rows(places), expected)], baseline)
    }
}
