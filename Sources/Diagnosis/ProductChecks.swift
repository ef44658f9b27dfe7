import Ops
import ReferenceKernels
import Tensors

extension OperationCheck {
    /// Linear layers and convolutions. Sizes leave remainders of every tile and panel.
    static func products() -> [OperationCheck] {
        let direct = [(3, 1), (3, 2), (1, 1)].flatMap { convolution(size: $0.0, stride: $0.1, .direct) }
        return linear() + direct + convolution(size: 3, stride: 1, .winograd2) + convolution(size: 3, stride: 1, .winograd4)
    }

    private static func linear() -> [OperationCheck] {
        let (rows, inputs, outputs) = (67, 94, 101)
        let (x, dy) = (numbers([rows, inputs], seed: 1), numbers([rows, outputs], seed: 2))
        let weight = weight([outputs, inputs], seed: 3)
        let values = weight.doubles
        let transposed = (0..<inputs).flatMap { i in (0..<outputs).map { values[$0 * inputs + i] } }
        return [
            OperationCheck(
                "linear", bound: 2e-6, expected: Reference.linear(x.doubles, weight: values, bias: nil, inputs: inputs)
            ) { Linear(weight: weight, engine: $0).forward(x).array },
            OperationCheck(
                "linear, gradient", bound: 2e-6,
                expected: Reference.linear(dy.doubles, weight: transposed, bias: nil, inputs: outputs)
            ) { Linear(weight: weight, engine: $0).backwardInput(dy).array },
        ]
    }

    private static func convolution(
        size: Int, stride: Int, _ algorithm: Convolution.Algorithm
    ) -> [OperationCheck] {
        let (inputs, outputs) = algorithm == .winograd4 ? (64, 96) : (48, 80)
        let twin = ReferenceConvolution(
            batch: 2, height: 9, width: 10, inputs: inputs, outputs: outputs, size: size, stride: stride,
            before: size / 2, after: size / 2)
        let weight = weight([outputs, inputs, size, size], seed: 4)
        let x = numbers([2, 9, 10, inputs], seed: 5), dy = numbers([2, twin.outHeight, twin.outWidth, outputs], seed: 6)
        let kind = algorithm == .direct ? stride == 2 ? ", stride 2" : "" : ", " + algorithm.rawValue
        let name = "convolution \(size)×\(size)" + kind
        // The points of F(4×4) multiply the sum's rounding about fivefold, and where operands are rounded they are integers.
        // F(2×2) is float32's alone.
        let bounds: [Precision: Double] =
            switch algorithm {
            case .direct: [.float32: 2e-6, .bfloat16: 2e-6]
            case .winograd2: [.float32: 2e-6]
            case .winograd4: [.float32: 6e-6, .bfloat16: 1.6e-3]
            }
        return [
            OperationCheck(
                name, bounds: bounds, expected: Reference.convolution(x.doubles, weight: weight.doubles, bias: nil, twin)
            ) {
                Convolution(weight: weight, bias: nil, stride: stride, engine: $0).forward(x, algorithm: algorithm).array
            },
            OperationCheck(
                name + ", gradient", bounds: bounds,
                expected: Reference.convolutionBackward(dy.doubles, weight: weight.doubles, twin)
            ) {
                Convolution(weight: weight, bias: nil, stride: stride, engine: $0)
                    .backwardInput(dy, inputShape: x.shape, algorithm: algorithm).array
            },
        ]
    }

    /// One head; queries and keys that leave remainders. In bfloat16 probabilities and gradients are rounded on the way.
    static func attention() -> [OperationCheck] {
        let (queries, keys, width) = (70, 83, 40)
        let query = numbers([1, queries, width], seed: 7), key = numbers([1, keys, width], seed: 8)
        let value = numbers([1, keys, width], seed: 9), dOut = numbers([1, queries, width], seed: 10)
        let scale = 1 / Double(width).squareRoot()
        let inputs = (query.doubles, key.doubles, value.doubles)
        let gradients = Reference.attentionBackward(
            dOut.doubles, inputs.0, inputs.1, inputs.2, width: width, scale: scale, causal: false)
        return [
            OperationCheck(
                "attention", bounds: [.float32: 3e-6, .bfloat16: 1e-2],
                expected: Reference.attention(inputs.0, inputs.1, inputs.2, width: width, scale: scale, causal: false)
            ) { Attention.forward(query: query, key: key, value: value, heads: 1, engine: $0).out.array },
            OperationCheck(
                "attention, gradients", bounds: [.float32: 9e-6, .bfloat16: 2e-2],
                expected: gradients.dQuery + gradients.dKey + gradients.dValue
            ) { engine in
                let (out, saved) = Attention.forward(query: query, key: key, value: value, heads: 1, engine: engine)
                let result = Attention.backwardInput(
                    dOut, query: query, key: key, value: value, out: out, saved: saved, heads: 1, engine: engine)
                return result.dQuery.array + result.dKey.array + result.dValue.array
            },
        ]
    }
}
