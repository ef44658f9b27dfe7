import Tensors

/// `y = x Wᵀ + b` over the last axis: `x [… , I]`, `W [O, I]` (or `[O, I, 1, 1]`: a 1×1 convolution), `y [… , O]`.
///
/// Cost: 2·rows·I·O flop, forward and backward alike.
public struct Linear: Sendable {
    /// W, packed for the register tile.
    public let filter: PackedFilter
    private let bias: [Float]?
    private let engine: Engine

    /// Channels of the input, I.
    public var inputs: Int { filter.inputs }
    /// Channels of the output, O.
    public var outputs: Int { filter.outputs }

    /// - Parameters:
    ///   - weight: `[O, I]`.
    ///   - bias: `[O]`.
    /// - Precondition: the shapes are these.
    public init(weight: Weight, bias: Weight? = nil, engine: Engine) {
        precondition(
            weight.shape.dropFirst(2).allSatisfy { $0 == 1 }, "linear weight \(weight.name) has shape \(weight.shape)")
        self.init(filter: PackedFilter(weight: weight, engine: engine), bias: bias, engine: engine)
    }

    /// - Precondition: the filter was packed for such an engine and has one tap.
    package init(filter: PackedFilter, bias: Weight?, engine: Engine) {
        precondition(filter.taps == 1, "linear layer of \(filter.taps) taps")
        self.filter = filter
        self.bias = bias?.floats()
        self.engine = engine
    }

    /// `y = x Wᵀ + residual + b`; `residual` has y's count.
    public func forward(_ x: Tensor, adding residual: Tensor? = nil) -> Tensor {
        precondition(x.channels == inputs, "linear [\(outputs), \(inputs)] got \(x.shape)")
        let y = Tensor(x.shape.dropLast() + [outputs], in: engine.workspace)
        run(x, into: y, transposed: false, residual: residual)
        return y
    }

    /// `dx = dy W + other`.
    public func backwardInput(_ dy: Tensor, adding other: Tensor? = nil) -> Tensor {
        precondition(dy.channels == outputs, "gradient of linear [\(outputs), \(inputs)] got \(dy.shape)")
        let dx = Tensor(dy.shape.dropLast() + [inputs], in: engine.workspace)
        run(dy, into: dx, transposed: true, residual: other)
        return dx
    }

    /// `y = value · geluErf(gate)` of `[value | gate] = x Wᵀ + b`: `GEGLU.forward(forward(x))` without a pass over the
    /// wide product, which is written only if `keeping` asks for it (the gradient needs it).
    public func forwardGated(_ x: Tensor, keeping: Bool) -> (y: Tensor, projected: Tensor?) {
        precondition(x.channels == inputs && outputs.isMultiple(of: 2), "gated [\(outputs), \(inputs)] got \(x.shape)")
        guard (outputs / 2).isMultiple(of: engine.kernels.gemm.panelWidth) else {
            let projected = forward(x)
            return (GEGLU.forward(projected, engine: engine), keeping ? projected : nil)
        }
        let y = Tensor(x.shape.dropLast() + [outputs / 2], in: engine.workspace)
        let projected = keeping ? Tensor(x.shape.dropLast() + [outputs], in: engine.workspace) : nil
        withOptionalPointer(bias) { bias in
            let gate = StripeOutput.Gate(projected: projected?.pointer)
            run(x, into: StripeOutput(y: y.pointer, bias: bias, gate: gate), transposed: false)
        }
        return (y, projected)
    }

    private func run(_ x: Tensor, into y: Tensor, transposed: Bool, residual: Tensor?) {
        precondition(residual == nil || residual?.count == y.count, "residual of another shape than \(y.shape)")
        withOptionalPointer(transposed ? nil : bias) { bias in
            let residual = residual.map { UnsafePointer($0.pointer) }
            run(x, into: StripeOutput(y: y.pointer, bias: bias, residual: residual), transposed: transposed)
        }
    }

    private func run(_ x: Tensor, into output: StripeOutput, transposed: Bool) {
        let width = x.channels
        FilterProduct(
            engine: engine, filter: filter, transposed: transposed, taps: [0], rows: x.rows, source: x.pointer,
            rowOffsets: { _, rows, offsets in
                for (index, row) in rows.enumerated() { offsets[index] = row * width }
            },
            output: output
        ).run()
    }
}

/// Calls `body` with the array's first element, or nil.
func withOptionalPointer<R>(_ values: [Float]?, _ body: (UnsafePointer<Float>?) -> R) -> R {
    guard let values else { return body(nil) }
    return values.withUnsafeBufferPointer { body($0.baseAddress) }
}
