import Checkpoints
import Tensors

/// What a LoRA file does to one weight `[outputs, inputs, kernel…]`, or to a vector.
protocol WeightChange: Sendable {
    /// Whether it can be done to a weight of that shape.
    func fits(_ shape: [Int]) -> Bool
    /// - Precondition: it fits.
    func apply(to values: UnsafeMutableBufferPointer<Float>, shape: [Int])
}

/// LoRA: W + factor · up · down, where `down` is [rank, fan-in] and `up` [outputs, rank] (trailing kernel dimensions
/// flattened). factor = scale · alpha / rank; a file without alpha means alpha = rank.
struct LoRADelta: WeightChange {
    let up: Weight
    let down: Weight
    let factor: Float

    var rank: Int { down.shape[0] }

    func fits(_ shape: [Int]) -> Bool {
        guard shape.count >= 2, let outputs = shape.first, up.shape.count >= 2, down.shape.count >= 2, rank > 0,
            let downCount = Shapes.count(down.shape), let upCount = Shapes.count(up.shape)
        else { return false }
        // A 3×3 kernel belongs to `down` (LoCon); `up` is pointwise.
        return up.shape[0] == outputs && up.shape[1] == rank && upCount == outputs * rank
            && downCount == rank * shape.dropFirst().reduce(1, *)
    }

    func apply(to values: UnsafeMutableBufferPointer<Float>, shape: [Int]) {
        let (outputs, rank) = (up.shape[0], self.rank)
        let inputs = values.count / max(outputs, 1)
        let (up, down) = (self.up.floats(), self.down.floats())
        for output in 0..<outputs {
            let row = UnsafeMutableBufferPointer(rebasing: values[output * inputs..<(output + 1) * inputs])
            for r in 0..<rank {
                let weight = factor * up[output * rank + r]
                down.withUnsafeBufferPointer { down in
                    for i in 0..<inputs { row[i] += weight * down[r * inputs + i] }
                }
            }
        }
    }
}

/// W + factor · difference, as fully fine-tuned layers and norms are stored.
struct Difference: WeightChange {
    let values: Weight
    let factor: Float

    func fits(_ shape: [Int]) -> Bool { Shapes.count(values.shape) == Shapes.count(shape) }

    func apply(to values: UnsafeMutableBufferPointer<Float>, shape: [Int]) {
        for (i, value) in self.values.floats().enumerated() { values[i] += factor * value }
    }
}

/// (IA)³: each output's, or each input's, weights · (1 + factor · (v + offset)).
struct Scaling: WeightChange {
    let vector: Weight
    let isOnInput: Bool
    /// -1 if the vector is the factor itself.
    let offset: Float
    let factor: Float

    func fits(_ shape: [Int]) -> Bool {
        isOnInput ? shape.count >= 2 && vector.count == shape[1] : vector.count == shape.first
    }

    func apply(to values: UnsafeMutableBufferPointer<Float>, shape: [Int]) {
        let factors = vector.floats().map { 1 + factor * ($0 + offset) }
        let inner = shape.dropFirst(isOnInput ? 2 : 1).reduce(1, *)
        for i in 0..<values.count { values[i] *= factors[i / max(inner, 1) % factors.count] }
    }
}

/// DoRA (Liu et al., 2024): W' = m · V / ‖V‖ with V = W + change; the norm is over all weights of an output (or, in older
/// LyCORIS files, of an input). A scale acts on the change inside V, as in PEFT and diffusers.
struct MagnitudeAndDirection: WeightChange {
    let change: any WeightChange
    let magnitude: Weight
    let isPerOutput: Bool

    func fits(_ shape: [Int]) -> Bool {
        shape.count >= 2 && change.fits(shape) && magnitude.count == shape[isPerOutput ? 0 : 1]
    }

    func apply(to values: UnsafeMutableBufferPointer<Float>, shape: [Int]) {
        change.apply(to: values, shape: shape)
        let inner = shape.dropFirst(isPerOutput ? 1 : 2).reduce(1, *)
        let count = magnitude.count
        var squares = [Double](repeating: 0, count: count)
        for i in 0..<values.count { squares[i / inner % count] += Double(values[i]) * Double(values[i]) }
        let factors = zip(magnitude.floats(), squares).map { m, square in
            square > 0 ? Float(Double(m) / square.squareRoot()) : 0
        }
        for i in 0..<values.count { values[i] *= factors[i / inner % count] }
    }
}
