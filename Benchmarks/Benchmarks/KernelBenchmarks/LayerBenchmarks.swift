import Benchmark
import Benchmarking
import LVO
import ReferenceKernels

// Convolutions and attention at the U-Net's sizes, forward and the gradient at the input.

func convolutionBenchmarks(_ harness: Harness) {
    for (side, inputs, outputs) in [(64, 320, 320), (32, 640, 640), (16, 1280, 1280), (8, 1280, 1280)] {
        let weight = Tensor.filled([outputs, inputs, 3, 3], seed: 5)
        let layer = Convolution(weight: Weight(name: "w", tensor: weight), bias: nil, engine: harness.engine)
        let x = Tensor.filled([1, side, side, inputs], seed: 6), dy = Tensor.filled([1, side, side, outputs], seed: 7)
        let pixels = samplePixels(side)
        let places = pixels.map { $0.row * side + $0.column }
        // One output pixel is the product of its neighbourhood with the filters.
        let toOne = ReferenceConvolution(
            batch: 1, height: 3, width: 3, inputs: inputs, outputs: outputs, size: 3, stride: 1, before: 0, after: 0)
        let expected = pixels.flatMap {
            Reference.convolution(x.neighbourhood($0.row, $0.column), weight: weight.doubles, bias: nil, toOne)
        }
        // One input pixel reaches its neighbourhood.
        let fromOne = ReferenceConvolution(
            batch: 1, height: 1, width: 1, inputs: inputs, outputs: outputs, size: 3, stride: 1, before: 2, after: 2)
        let expectedGradient = pixels.flatMap {
            Reference.convolutionBackward(dy.neighbourhood($0.row, $0.column), weight: weight.doubles, fromOne)
        }
        let name = "convolution-\(side)x\(side)-\(inputs)-\(outputs)"
        let flop = 18 * Double(side * side * inputs * outputs)
        harness.add(
            name, flop: flop, errors: [relativeError(layer.forward(x).rows(places), expected)]
        ) { blackHole(layer.forward(x)) }
        harness.add(
            name + "-gradient", flop: flop,
            errors: [relativeError(layer.backwardInput(dy, inputShape: x.shape).rows(places), expectedGradient)]
        ) { blackHole(layer.backwardInput(dy, inputShape: x.shape)) }
    }
}

func attentionBenchmarks(_ harness: Harness) {
    for (tokens, width) in [(4096, 40), (1024, 80), (256, 160)] {
        let shape = [1, tokens, 8 * width]
        let check = AttentionCase(
            query: .filled(shape, seed: 7), key: .filled(shape, seed: 8), value: .filled(shape, seed: 9), width: width,
            engine: harness.engine)
        let dOut = Tensor.filled(shape, seed: 10)
        let name = "attention-\(tokens)-tokens-8x\(width)"
        let flop = 4 * Double(tokens * tokens * 8 * width)
        harness.add(name, flop: flop, errors: [check.forwardError()]) { blackHole(check.forward()) }
        let (out, saved) = check.forward()
        harness.add(name + "-gradient", flop: 2.5 * flop, errors: check.gradientErrors(dOut)) {
            blackHole(check.gradient(dOut, out, saved))
        }
    }
}

/// Attention of eight heads, and how far a few of its results are from the slow twin's.
private struct AttentionCase: Sendable {
    let query, key, value: Tensor
    let width: Int
    let engine: Engine

    private let head = 5
    private var places: [Int] { [0, 7, query.shape[1] / 2, query.shape[1] - 1] }
    private var scale: Double { 1 / Double(width).squareRoot() }

    func forward() -> (out: Tensor, saved: Attention.Saved) {
        Attention.forward(query: query, key: key, value: value, heads: 8, engine: engine)
    }

    func gradient(_ dOut: Tensor, _ out: Tensor, _ saved: Attention.Saved) -> [Tensor] {
        let (dQuery, dKey, dValue) = Attention.backwardInput(
            dOut, query: query, key: key, value: value, out: out, saved: saved, heads: 8, engine: engine)
        return [dQuery, dKey, dValue]
    }

    /// One head's columns of the rows `places`, or of all.
    private func head(of tensor: Tensor, _ places: [Int]? = nil) -> [Float] {
        (places ?? Array(0..<tensor.rows)).flatMap {
            Array(UnsafeBufferPointer(start: tensor.pointer + $0 * tensor.channels + head * width, count: width))
        }
    }

    private func doubles(_ tensor: Tensor, _ places: [Int]? = nil) -> [Double] {
        head(of: tensor, places).map(Double.init)
    }

    func forwardError() -> Double {
        let expected = Reference.attention(
            doubles(query, places), doubles(key), doubles(value), width: width, scale: scale, causal: false)
        return relativeError(head(of: forward().out, places), expected)
    }

    /// Of the gradients at query, key and value. The gradient is linear in dOut: with dOut at a few queries alone, those
    /// queries are all that the twin has to look at for the whole of it.
    func gradientErrors(_ dOut: Tensor) -> [Double] {
        let few = Tensor.zeros(dOut.shape)
        for place in places {
            (few.pointer + place * few.channels).update(from: dOut.pointer + place * few.channels, count: few.channels)
        }
        let (out, saved) = forward()
        let found = gradient(few, out, saved)
        let expected = Reference.attentionBackward(
            doubles(dOut, places), doubles(query, places), doubles(key), doubles(value), width: width, scale: scale,
            causal: false)
        return [
            relativeError(head(of: found[0], places), expected.dQuery),
            relativeError(head(of: found[1]), expected.dKey), relativeError(head(of: found[2]), expected.dValue),
        ]
    }
}
