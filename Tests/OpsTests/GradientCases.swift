import ComplexModule
import Ops
import RealModule
import ReferenceKernels
import Tensors
import TestSupport
import Testing

typealias C = Complex<Double>

/// One operation of the gradient test: how to run it forward and backward, and its slow twin.
struct GradientCase: Sendable, CustomTestStringConvertible {
    let name: String
    /// Shapes of the inputs that have gradients.
    let inputs: [[Int]]
    /// Inputs, cotangent of the output → output, gradients.
    let run: @Sendable (_ x: [Tensor], _ dy: [Float], _ engine: Engine) -> (y: Tensor, dx: [Tensor])
    let twin: @Sendable ([[C]]) -> [C]

    var testDescription: String { name }

    var values: [[Float]] {
        inputs.enumerated().map { randomFloats($1.reduce(1, *), seed: UInt64($0 + 1), scale: 1.5) }
    }

    func cotangent(_ count: Int) -> [Float] { randomFloats(count, seed: 99) }

    /// Output and gradients on an engine.
    func computed(_ engine: Engine) -> (y: [Float], dx: [[Float]]) {
        let x = zip(inputs, values).map { Tensor($0, $1) }
        let result = run(x, cotangent(twin(values.map { $0.map { C(Double($0)) } }).count), engine)
        return (result.y.array, result.dx.map(\.array))
    }
}

/// Every operation of `Ops` that has a gradient.
let gradientCases: [GradientCase] =
    productCases + normCases + attentionCases + pointwiseCases + movementCases

private func parameter(_ shape: [Int], _ seed: UInt64, around: Float = 0) -> (weight: Weight, complex: [C]) {
    let values = randomFloats(shape.reduce(1, *), seed: seed, scale: 0.7).map { $0 + around }
    return (Weight(name: "parameter", tensor: Tensor(shape, values)), values.map { C(Double($0)) })
}

private let productCases: [GradientCase] = [
    GradientCase(name: "linear", inputs: [[2, 7, 19]]) { x, dy, engine in
        let layer = Linear(weight: parameter([21, 19], 5).weight, bias: parameter([21], 6).weight, engine: engine)
        return (layer.forward(x[0]), [layer.backwardInput(Tensor([2, 7, 21], dy))])
    } twin: {
        Reference.linear($0[0], weight: parameter([21, 19], 5).complex, bias: parameter([21], 6).complex, inputs: 19)
    },
    convolution("convolution 3×3", size: 3),
    convolution("convolution 3×3 stride 2", size: 3, stride: 2),
    convolution("convolution 3×3 stride 2, padded right and bottom", size: 3, stride: 2, padding: .rightBottom),
    convolution("convolution 1×1", size: 1),
]

private func convolution(
    _ name: String, size: Int, stride: Int = 1, padding: Padding = .symmetric
) -> GradientCase {
    let weight = [6, 5, size, size]
    let symmetric = padding == .symmetric
    let sizes = ReferenceConvolution(
        batch: 2, height: 6, width: 5, inputs: 5, outputs: 6, size: size, stride: stride,
        before: symmetric ? size / 2 : 0, after: symmetric ? size / 2 : 1)
    return GradientCase(name: name, inputs: [[2, 6, 5, 5]]) { x, dy, engine in
        let layer = Convolution(
            weight: parameter(weight, 5).weight, bias: parameter([6], 6).weight, stride: stride, padding: padding,
            engine: engine)
        let y = layer.forward(x[0])
        return (y, [layer.backwardInput(Tensor(y.shape, dy), inputShape: x[0].shape)])
    } twin: {
        Reference.convolution(
            $0[0], weight: parameter(weight, 5).complex, bias: parameter([6], 6).complex, sizes)
    }
}

private let normCases: [GradientCase] = [
    groupNorm("group norm", silu: false), groupNorm("group norm and SiLU", silu: true),
    GradientCase(name: "layer norm", inputs: [[3, 2, 37]]) { x, dy, engine in
        let (weight, bias) = (parameter([37], 5, around: 1).weight, parameter([37], 6).weight)
        let layer = LayerNorm(weight: weight, bias: bias, epsilon: 1e-3, engine: engine)
        let (y, saved) = layer.forward(x[0])
        return (y, [layer.backwardInput(Tensor(y.shape, dy), x: x[0], saved: saved)])
    } twin: {
        Reference.layer(
            $0[0], weight: parameter([37], 5, around: 1).complex, bias: parameter([37], 6).complex, epsilon: 1e-3)
    },
]

private func groupNorm(_ name: String, silu: Bool) -> GradientCase {
    GradientCase(name: name, inputs: [[2, 3, 3, 24]]) { x, dy, engine in
        let (weight, bias) = (parameter([24], 5, around: 1).weight, parameter([24], 6).weight)
        let layer = GroupNorm(weight: weight, bias: bias, groups: 4, epsilon: 1e-3, engine: engine)
        let (y, saved) = layer.forward(x[0], silu: silu)
        return (y, [layer.backwardInput(Tensor(y.shape, dy), x: x[0], saved: saved, silu: silu)])
    } twin: { x in
        let (weight, bias) = (parameter([24], 5, around: 1).complex, parameter([24], 6).complex)
        let samples: [[C]] = [Array(x[0].prefix(216)), Array(x[0].suffix(216))]
        return samples.flatMap { (sample: [C]) -> [C] in
            Reference.groupNorm(sample, weight: weight, bias: bias, groups: 4, epsilon: 1e-3, silu: silu)
        }
    }
}

private let attentionCases: [GradientCase] = [
    attention("self-attention", queries: 9, keys: 9, causal: false),
    attention("causal attention", queries: 9, keys: 9, causal: true),
    attention("cross-attention", queries: 7, keys: 11, causal: false),
    GradientCase(name: "cross-attention, shared context", inputs: [[2, 7, 12]]) { x, dy, engine in
        let (key, value) = (Tensor([1, 11, 12], sharedKey), Tensor([1, 11, 12], sharedValue))
        let (out, saved) = Attention.forward(query: x[0], key: key, value: value, heads: 2, engine: engine)
        let dQuery = Attention.backwardQuery(
            Tensor(out.shape, dy), query: x[0], key: key, value: value, out: out, saved: saved, heads: 2,
            engine: engine)
        return (out, [dQuery])
    } twin: {
        let (key, value) = (sharedKey.map { C(Double($0)) }, sharedValue.map { C(Double($0)) })
        return multiHead($0[0], key + key, value + value, queries: 7, keys: 11, causal: false)
    },
]
private let sharedKey = randomFloats(132, seed: 7)
private let sharedValue = randomFloats(132, seed: 8)

/// Two samples, two heads of width 6.
private func attention(_ name: String, queries: Int, keys: Int, causal: Bool) -> GradientCase {
    GradientCase(name: name, inputs: [[2, queries, 12], [2, keys, 12], [2, keys, 12]]) { x, dy, engine in
        let (out, saved) = Attention.forward(
            query: x[0], key: x[1], value: x[2], heads: 2, causal: causal, engine: engine)
        let gradients = Attention.backwardInput(
            Tensor(out.shape, dy), query: x[0], key: x[1], value: x[2], out: out, saved: saved, heads: 2,
            causal: causal, engine: engine)
        return (out, [gradients.dQuery, gradients.dKey, gradients.dValue])
    } twin: {
        multiHead($0[0], $0[1], $0[2], queries: queries, keys: keys, causal: causal)
    }
}

private func multiHead(_ query: [C], _ key: [C], _ value: [C], queries: Int, keys: Int, causal: Bool) -> [C] {
    func head(_ x: [C], _ sample: Int, _ head: Int, _ tokens: Int) -> [C] {
        var part: [C] = []
        for token in 0..<tokens {
            let start = ((sample * tokens + token) * 2 + head) * 6
            part += x[start..<start + 6]
        }
        return part
    }
    var out = [C](repeating: 0, count: query.count)
    for sample in 0..<2 {
        for h in 0..<2 {
            let part = Reference.attention(
                head(query, sample, h, queries), head(key, sample, h, keys), head(value, sample, h, keys), width: 6,
                scale: 1 / 6.0.squareRoot(), causal: causal)
            for i in part.indices { out[((sample * queries + i / 6) * 2 + h) * 6 + i % 6] = part[i] }
        }
    }
    return out
}

private let pointwiseCases: [GradientCase] = [
    activation("SiLU", .silu) { Reference.silu($0) },
    activation("GELU with erf", .geluErf) { Reference.geluErf($0) },
    activation("quick GELU", .geluQuick) { Reference.geluQuick($0) },
    GradientCase(name: "GEGLU", inputs: [[3, 42]]) { x, dy, engine in
        (GEGLU.forward(x[0], engine: engine), [GEGLU.backwardInput(Tensor([3, 21], dy), x: x[0], engine: engine)])
    } twin: {
        Reference.geglu($0[0], width: 21)
    },
    GradientCase(name: "sum", inputs: [[5, 7], [5, 7]]) { x, dy, engine in
        (Elementwise.add(x[0], x[1], engine: engine), [Tensor([5, 7], dy), Tensor([5, 7], dy)])
    } twin: {
        Reference.add($0[0], $0[1])
    },
    GradientCase(name: "multiple", inputs: [[5, 7]]) { x, dy, engine in
        let dx = Elementwise.scale(Tensor([5, 7], dy), by: -0.75, engine: engine)
        return (Elementwise.scale(x[0], by: -0.75, engine: engine), [dx])
    } twin: {
        Reference.scale(C(-0.75), $0[0])
    },
]

private func activation(
    _ name: String, _ function: Activation, twin: @escaping @Sendable ([C]) -> [C]
) -> GradientCase {
    GradientCase(name: name, inputs: [[3, 37]]) { x, dy, engine in
        let dx = function.backwardInput(Tensor([3, 37], dy), x: x[0], engine: engine)
        return (function.forward(x[0], engine: engine), [dx])
    } twin: {
        twin($0[0])
    }
}

private let movementCases: [GradientCase] = [
    upsample("upsampling by 2", to: (6, 8)), upsample("upsampling to an odd size", to: (5, 7)),
    GradientCase(name: "concatenation", inputs: [[2, 3, 5], [2, 3, 18]]) { x, dy, engine in
        let (a, b) = Concat.backwardInput(Tensor([2, 3, 23], dy), channels: (5, 18), engine: engine)
        return (Concat.forward(x[0], x[1], engine: engine), [a, b])
    } twin: {
        Reference.concat($0[0], $0[1], channels: (5, 18))
    },
]

private func upsample(_ name: String, to size: (Int, Int)) -> GradientCase {
    GradientCase(name: name, inputs: [[2, 3, 4, 5]]) { x, dy, engine in
        let y = Resample.upsampleNearest(x[0], to: size, engine: engine)
        let dx = Resample.upsampleNearestBackward(Tensor(y.shape, dy), inputShape: x[0].shape, engine: engine)
        return (y, [dx])
    } twin: {
        Reference.upsampleNearest($0[0], shape: [2, 3, 4, 5], to: size)
    }
}
