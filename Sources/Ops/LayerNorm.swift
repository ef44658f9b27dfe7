import KernelInterface
import Tensors

/// Layer normalization of every row of `[..., C]`: `y = (x − mean)/√(variance + ε) · weight + bias`.
public struct LayerNorm: Sendable {
    /// C.
    public let channels: Int
    /// ε, added to the variance.
    public let epsilon: Float
    let weight: Tensor
    let bias: Tensor
    let engine: Engine

    /// What backward needs beside x: `[rows, 2]`, mean and 1/√(variance + ε).
    public struct Saved: Sendable {
        /// `[rows, 2]`: mean, and 1/√(variance + ε).
        public let statistics: Tensor
    }

    /// - Parameters:
    ///   - weight, bias: `[C]`.
    /// - Precondition: both have the same number of elements.
    public init(weight: Weight, bias: Weight, epsilon: Float, engine: Engine) {
        precondition(
            weight.shape.count == 1 && bias.shape == weight.shape,
            "layer norm \(weight.name): weight \(weight.shape), bias \(bias.shape)")
        channels = weight.count
        self.epsilon = epsilon
        self.weight = Tensor(weight.shape, weight.floats())
        self.bias = Tensor(bias.shape, bias.floats())
        self.engine = engine
    }

    /// The normalized `x [..., C]`, and what backward needs.
    public func forward(_ x: Tensor) -> (y: Tensor, saved: Saved) {
        precondition(x.channels == channels, "layer norm of \(channels) channels on \(x.shape)")
        let y = Tensor(x.shape, in: engine.workspace)
        let saved = Saved(statistics: Tensor([x.rows, 2], in: engine.workspace))
        let kernel = engine.kernels.norm.layer
        engine.threads.forRanges(x.rows, grain: grain(x), bytes: 8 * x.count) { rows, _ in
            let start = rows.lowerBound * channels
            kernel(
                x.pointer + start, rows.count, channels, weight.pointer, bias.pointer, epsilon, y.pointer + start,
                saved.statistics.pointer + 2 * rows.lowerBound)
        }
        return (y, saved)
    }

    /// The gradient at x, plus `adding` if given (the gradient of a residual branch).
    public func backwardInput(_ dy: Tensor, x: Tensor, saved: Saved, adding: Tensor? = nil) -> Tensor {
        precondition(
            x.channels == channels && dy.count == x.count && (adding?.count ?? x.count) == x.count
                && saved.statistics.shape == [x.rows, 2],
            "layer norm backward: dy \(dy.shape), x \(x.shape), adding \(adding?.shape ?? x.shape)")
        let dx = Tensor(x.shape, in: engine.workspace)
        let kernel = engine.kernels.norm.layerBackward
        engine.threads.forRanges(x.rows, grain: grain(x), bytes: 12 * x.count) { rows, _ in
            let start = rows.lowerBound * channels
            kernel(
                dy.pointer + start, x.pointer + start, rows.count, channels, weight.pointer,
                saved.statistics.pointer + 2 * rows.lowerBound, adding.map { UnsafePointer($0.pointer + start) },
                dx.pointer + start)
        }
        return dx
    }

    private func grain(_ x: Tensor) -> Int { max(1, Elementwise.grain(x.count, engine) / channels) }
}
