import KernelInterface
import Ops
import ReferenceKernels
import Tensors

extension OperationCheck {
    /// Norms and gated rows: float32 in either precision.
    static func rows() -> [OperationCheck] {
        let (channels, groups) = (60, 4)
        let x = numbers([2, 5, 7, channels], seed: 11), dy = numbers([2, 5, 7, channels], seed: 12)
        let weight = weight([channels], seed: 13), bias = Self.weight([channels], seed: 14)
        let samples = [x, dy].map { tensor in (0..<2).map { tensor.slice($0..<$0 + 1).doubles } }
        return [
            OperationCheck(
                "group norm + SiLU", bound: 3e-6,
                expected: samples[0].flatMap {
                    Reference.groupNorm(
                        $0, weight: weight.doubles, bias: bias.doubles, groups: groups, epsilon: 1e-5, silu: true)
                }
            ) {
                GroupNorm(weight: weight, bias: bias, groups: groups, epsilon: 1e-5, engine: $0).forward(x, silu: true).y.array
            },
            OperationCheck(
                "group norm + SiLU, gradient", bound: 1e-5,
                expected: zip(samples[1], samples[0]).flatMap {
                    Reference.groupNormBackward(
                        $0, $1, weight: weight.doubles, bias: bias.doubles, groups: groups, epsilon: 1e-5, silu: true)
                }
            ) {
                let norm = GroupNorm(weight: weight, bias: bias, groups: groups, epsilon: 1e-5, engine: $0)
                return norm.backwardInput(dy, x: x, saved: norm.forward(x, silu: true).saved, silu: true).array
            },
            OperationCheck(
                "layer norm", bound: 6e-6,
                expected: Reference.layer(x.doubles, weight: weight.doubles, bias: bias.doubles, epsilon: 1e-5)
            ) { LayerNorm(weight: weight, bias: bias, epsilon: 1e-5, engine: $0).forward(x).y.array },
            OperationCheck(
                "layer norm, gradient", bound: 1e-5,
                expected: Reference.layerBackward(dy.doubles, x.doubles, weight: weight.doubles, epsilon: 1e-5)
            ) {
                let norm = LayerNorm(weight: weight, bias: bias, epsilon: 1e-5, engine: $0)
                return norm.backwardInput(dy, x: x, saved: norm.forward(x).saved).array
            },
        ]
    }

    /// Element by element, over several vectors and a remainder.
    static func activations() -> [OperationCheck] {
        let x = numbers([23, 53], seed: 15, scale: 4), dy = numbers([23, 53], seed: 16)
        let wide = numbers([9, 106], seed: 17, scale: 3), dWide = numbers([9, 53], seed: 18)
        let twins: [(String, Activation, [Double], [Double])] = [
            ("SiLU", .silu, Reference.silu(x.doubles), Reference.siluBackward(dy.doubles, x.doubles)),
            ("GELU", .geluErf, Reference.geluErf(x.doubles), Reference.geluErfBackward(dy.doubles, x.doubles)),
            (
                "quick GELU", .geluQuick, Reference.geluQuick(x.doubles),
                Reference.geluQuickBackward(dy.doubles, x.doubles)
            ),
        ]
        let plain = twins.flatMap { name, activation, value, gradient in
            [
                OperationCheck(name, bound: 2e-6, expected: value) { activation.forward(x, engine: $0).array },
                OperationCheck(name + ", gradient", bound: 2e-6, expected: gradient) {
                    activation.backwardInput(dy, x: x, engine: $0).array
                },
            ]
        }
        return plain + [
            OperationCheck("GEGLU", bound: 2e-6, expected: Reference.geglu(wide.doubles, width: 53)) {
                GEGLU.forward(wide, engine: $0).array
            },
            OperationCheck(
                "GEGLU, gradient", bound: 2e-6,
                expected: Reference.gegluBackward(dWide.doubles, wide.doubles, width: 53)
            ) { GEGLU.backwardInput(dWide, x: wide, engine: $0).array },
        ]
    }

    /// An autoencoder's rows: a decoder's sum, its gradient's products, and the optimizer.
    static func sparse() -> [OperationCheck] {
        let columns = 77
        let matrix = numbers([9, columns], seed: 19), vector = numbers([columns], seed: 20)
        let ids: [UInt32] = [7, 0, 3, 8, 3, 5], factors = numbers([6], seed: 21)
        let none = [Double](repeating: 0, count: columns)
        return [
            OperationCheck(
                "sum of rows", bound: 2e-6,
                expected: Reference.sumRows(
                    ids: ids, factors: factors.doubles, matrix.doubles, stride: columns, start: none)
            ) {
                let out = Tensor([columns])
                $0.kernels.sparse.sumRows(
                    ids, factors.pointer, ids.count, matrix.pointer, columns, columns, out.pointer, false)
                return out.array
            },
            OperationCheck(
                "products with rows", bound: 2e-6,
                expected: Reference.dotRows(
                    vector.doubles, ids: ids, matrix.doubles, stride: columns, start: Array(none.prefix(ids.count)))
            ) {
                let out = Tensor([ids.count])
                $0.kernels.sparse.dotRows(
                    vector.pointer, ids, ids.count, matrix.pointer, columns, columns, out.pointer, false)
                return out.array
            },
            adam(),
        ]
    }

    private static func adam() -> OperationCheck {
        let step = AdamStep(beta1: 0.9, beta2: 0.999, epsilon: 1e-8, size: 0.01, rootScale: 1.5)
        let start = (0..<4).map { numbers([77], seed: 22 + UInt64($0)) }
        // A mean of squares is not negative.
        for i in 0..<77 { start[3].pointer[i] = abs(start[3].pointer[i]) + 0.125 }
        let twin = Reference.adam(
            weights: start[0].doubles, gradient: start[1].doubles, mean: start[2].doubles, square: start[3].doubles,
            beta1: Double(step.beta1), beta2: Double(step.beta2), epsilon: Double(step.epsilon), size: Double(step.size),
            rootScale: Double(step.rootScale), scale: 0.5, parallel: 0.25)
        return OperationCheck("Adam", bound: 2e-6, expected: twin.weights + twin.mean + twin.square) {
            let (weights, mean, square) = (start[0].copy(), start[2].copy(), start[3].copy())
            $0.kernels.sparse.adam(
                weights.pointer, start[1].pointer, mean.pointer, square.pointer, 77, step, 0.5, 0.25)
            return weights.array + mean.array + square.array
        }
    }
}
