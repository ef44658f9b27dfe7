import KernelInterface
import Tensors

/// How a 3×3 convolution is padded with zeros.
public enum Padding: Sendable {
    /// One pixel on every side (nothing for 1×1).
    case symmetric
    /// One row at the bottom and one column at the right: the VAE encoder's downsampling.
    case rightBottom
}

/// 2-D convolution, channels last: `x [B, H, W, I]`, `W [O, I, R, S]` with R = S = 1 or 3, `y [B, H', W', O]`.
///
///     y[b, h, w, o] = bias[o] + Σ_{r,s,i} x[b, h·stride + r − p, w·stride + s − p, i] · W[o, i, r, s]
///
/// Cost: 2·B·H'·W'·O·I·R·S flop.
public struct Convolution: Sendable {
    /// How a stride-1 3×3 convolution is computed; everything else is always direct. F(2×2) is float32's alone.
    public enum Algorithm: String, Sendable, CaseIterable {
        case direct, winograd2, winograd4
    }

    /// W, packed for the register tile.
    public let filter: PackedFilter
    /// Input pixels from one output pixel to the next, along both axes.
    public let stride: Int
    /// Where zeros are added.
    public let padding: Padding
    private let size: Int
    private let bias: [Float]?
    private let engine: Engine

    /// - Parameters:
    ///   - weight: `[O, I, R, S]`.
    ///   - bias: `[O]`.
    ///   - stride: 1 or 2.
    /// - Precondition: R = S = 1 or 3, and the bias has O elements.
    public init(weight: Weight, bias: Weight?, stride: Int = 1, padding: Padding = .symmetric, engine: Engine) {
        precondition(
            weight.shape.count == 4 && weight.shape[2] == weight.shape[3] && [1, 3].contains(weight.shape[2]),
            "convolution weight \(weight.name) has shape \(weight.shape)")
        self.init(
            filter: PackedFilter(weight: weight, engine: engine), bias: bias, stride: stride, padding: padding,
            engine: engine)
    }

    /// - Precondition: the filter was packed for such an engine and has 1 or 9 taps; the rest as above.
    package init(filter: PackedFilter, bias: Weight?, stride: Int = 1, padding: Padding = .symmetric, engine: Engine) {
        precondition(filter.taps == 1 || filter.taps == 9, "convolution of \(filter.taps) taps")
        precondition(stride == 1 || stride == 2, "convolution of stride \(stride)")
        precondition((bias?.count ?? filter.outputs) == filter.outputs, "bias \(bias?.shape ?? []) of \(filter.outputs)")
        self.filter = filter
        size = filter.taps == 9 ? 3 : 1
        self.stride = stride
        self.padding = padding
        self.bias = bias?.floats()
        self.engine = engine
    }

    /// Channels of the input, I.
    public var inputs: Int { filter.inputs }
    /// Channels of the output, O.
    public var outputs: Int { filter.outputs }

    /// The algorithm for maps of `height × width`; `rule` where Winograd's applies, else the direct product.
    public func algorithm(height: Int, width: Int) -> Algorithm {
        guard isWinograds else { return .direct }
        return Self.rule(
            inputs: inputs, outputs: outputs, height: height, width: width, precision: filter.precision,
            speedup: engine.kernels.bfloat16.speedup)
    }

    /// How a 3×3 convolution of stride 1 is computed: the least in multiplications a filter, where Winograd's also pay for
    /// transforming the filter, which takes the time of some 2 tiles' products in float32 and of 8 in integers (`lvo bench
    /// layers --algorithms` measures all that a precision has; docs/performance.md). Channels that do not fill whole
    /// vectors are left to the direct product.
    ///
    /// A rule and not a stopwatch at load time: a choice that followed timing noise would change bits from run to run.
    /// It looks at one sample, so that a latent's result does not depend on the batch it is in.
    ///
    /// In bfloat16 F(4×4)'s products are those of 16-bit integers (`IntegerWinogradKernels`), which take the time of
    /// bfloat16's where that has a `speedup` of 2. Where it has more, direct products always cost less.
    ///
    /// - Parameter speedup: `BFloat16Kernels.speedup` of the kernels in use.
    public static func rule(
        inputs: Int, outputs: Int, height: Int, width: Int, precision: Precision = .float32, speedup: Int = 2
    ) -> Algorithm {
        let multiple = channelMultiple(precision)
        guard inputs % multiple == 0, outputs % multiple == 0, precision == .float32 || speedup <= 2 else { return .direct }
        func tiles(_ size: Int) -> Int { ((height + size - 1) / size) * ((width + size - 1) / size) }
        let costs: [(Algorithm, Int)] =
            switch precision {
            case .float32:
                [(.winograd4, 36 * tiles(4) + 80), (.winograd2, 16 * tiles(2) + 36), (.direct, 9 * height * width)]
            case .bfloat16: [(.winograd4, 36 * tiles(4) + 295), (.direct, 9 * height * width)]
            }
        return costs.min { $0.1 < $1.1 }?.0 ?? .direct
    }

    /// What channels are a multiple of for Winograd's algorithms: whole vectors, and in integers whole pairs of vectors.
    private static func channelMultiple(_ precision: Precision) -> Int { precision == .float32 ? 16 : 32 }

    /// Whether Winograd's algorithms compute this convolution at all.
    private var isWinograds: Bool { size == 3 && stride == 1 && padding == .symmetric }

    /// Kernels of the algorithm asked for, or else of the rule's.
    private func winograd(_ wanted: Algorithm?, height: Int, width: Int) -> WinogradTransforms? {
        let algorithm = wanted ?? self.algorithm(height: height, width: width)
        precondition(
            computes(algorithm),
            "\(algorithm.rawValue) for \(size)×\(size), stride \(stride), \(inputs) → \(outputs) channels")
        return switch (algorithm, filter.precision) {
        case (.direct, _): nil
        case (.winograd2, _): .float32(engine.kernels.winograd2)
        case (.winograd4, .float32): .float32(engine.kernels.winograd4)
        case (.winograd4, .bfloat16): .integers(engine.kernels.integerWinograd)
        }
    }

    /// Those that compute this convolution.
    public var algorithms: [Algorithm] { Algorithm.allCases.filter(computes) }

    private func computes(_ algorithm: Algorithm) -> Bool {
        let multiple = Self.channelMultiple(filter.precision)
        return switch (algorithm, filter.precision) {
        case (.direct, _): true
        case (.winograd2, .bfloat16): false
        case (.winograd2, .float32), (.winograd4, _): isWinograds && inputs % multiple == 0 && outputs % multiple == 0
        }
    }

    /// Pixels of padding before the first row and column.
    private var before: Int { padding == .symmetric ? size / 2 : 0 }
    /// Padding of both ends together.
    private var total: Int { padding == .symmetric ? size / 2 * 2 : 1 }

    /// `[B, H', W', O]` for an input `[B, H, W, I]`.
    public func outputShape(_ inputShape: [Int]) -> [Int] {
        func extent(_ n: Int) -> Int { (n + total - size) / stride + 1 }
        return [inputShape[0], extent(inputShape[1]), extent(inputShape[2]), outputs]
    }

    /// - Parameters:
    ///   - residual: added to y, same shape.
    ///   - channelBias: `[B, O]`, added to every pixel of a sample (the time embedding's share).
    ///   - algorithm: for comparisons; nil takes the one of `algorithm(height:width:)`.
    /// - Precondition: the shapes are these, and `algorithm` computes this convolution: Winograd's those of 3×3, stride 1,
    ///   symmetric padding and multiples of 16 channels, in bfloat16 F(4×4) alone and multiples of 32.
    public func forward(
        _ x: Tensor, adding residual: Tensor? = nil, channelBias: Tensor? = nil, algorithm: Algorithm? = nil
    ) -> Tensor {
        precondition(x.shape.count == 4 && x.channels == inputs, "convolution of \(inputs) channels got \(x.shape)")
        let y = Tensor(outputShape(x.shape), in: engine.workspace)
        precondition(residual == nil || residual?.count == y.count, "residual of another shape than \(y.shape)")
        precondition(
            channelBias == nil || channelBias?.count == y.shape[0] * outputs,
            "channel bias \(channelBias?.shape ?? []) for \(y.shape)")
        let (height, width, channels) = (x.shape[1], x.shape[2], inputs)
        let grid = Grid(y.shape)
        let (size, stride, before) = (size, stride, before)
        withOptionalPointer(bias) { bias in
            if let winograd = winograd(algorithm, height: height, width: width) {
                return WinogradProduct(
                    engine: engine, transforms: winograd, filter: filter, transposed: false, x: x, out: y, bias: bias,
                    sampleBias: channelBias.map { UnsafePointer($0.pointer) },
                    residual: residual.map { UnsafePointer($0.pointer) }
                ).run()
            }
            FilterProduct(
                engine: engine, filter: filter, transposed: false, taps: Array(0..<size * size), rows: y.rows,
                source: x.pointer,
                rowOffsets: { tap, rows, offsets in
                    let (r, s) = (tap / size - before, tap % size - before)
                    grid.forEach(rows) { index, b, h, w in
                        let (i, j) = (h * stride + r, w * stride + s)
                        let inside = i >= 0 && i < height && j >= 0 && j < width
                        offsets[index] = inside ? ((b * height + i) * width + j) * channels : -1
                    }
                },
                output: StripeOutput(
                    y: y.pointer, bias: bias, residual: residual.map { UnsafePointer($0.pointer) },
                    sampleBias: channelBias.map { (UnsafePointer($0.pointer), grid.height * grid.width) })
            ).run()
        }
        return y
    }

    /// `dx[b, i, j, c] = other + Σ_{r,s,o} dy[b, (i + p − r)/stride, (j + p − s)/stride, o] · W[o, c, r, s]`, where the
    /// division is exact and inside.
    ///
    /// - Precondition: dy has the output's shape and `other` the input's; `algorithm` as in `forward`.
    public func backwardInput(
        _ dy: Tensor, inputShape: [Int], adding other: Tensor? = nil, algorithm: Algorithm? = nil
    ) -> Tensor {
        precondition(dy.shape == outputShape(inputShape), "gradient \(dy.shape) of a convolution of \(inputShape)")
        let dx = Tensor(inputShape, in: engine.workspace)
        precondition(other == nil || other?.count == dx.count, "other of another shape than \(inputShape)")
        if let winograd = winograd(algorithm, height: dx.shape[1], width: dx.shape[2]) {
            WinogradProduct(
                engine: engine, transforms: winograd, filter: filter, transposed: true, x: dy, out: dx,
                residual: other.map { UnsafePointer($0.pointer) }
            ).run()
            return dx
        }
        if stride == 1 {
            backward(dy, into: dx, phase: (0, 0), residual: other)
            return dx
        }
        // With stride 2 a pixel of one parity meets only some taps (4, 2, 2 or 1 of 9). One product per parity does
        // just those, a quarter of the work of masking them.
        for phase in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let shape = [
                inputShape[0], (inputShape[1] - phase.0 + 1) / 2, (inputShape[2] - phase.1 + 1) / 2, inputs,
            ]
            if shape[1] * shape[2] == 0 { continue }
            let part = Tensor(shape, in: engine.workspace)
            backward(dy, into: part, phase: phase, residual: nil)
            interleave(part, into: dx, phase: phase)
        }
        return other.map { Elementwise.add(dx, $0, engine: engine) } ?? dx
    }

    /// The gradient at pixels (phase.0 + stride·h, phase.1 + stride·w), as a dense map.
    private func backward(_ dy: Tensor, into dx: Tensor, phase: (Int, Int), residual: Tensor?) {
        let (size, stride, before, channels) = (size, stride, before, outputs)
        let (height, width) = (dy.shape[1], dy.shape[2])
        let grid = Grid(dx.shape)
        let taps = (0..<size * size).filter {
            (phase.0 + before - $0 / size) % stride == 0 && (phase.1 + before - $0 % size) % stride == 0
        }
        FilterProduct(
            engine: engine, filter: filter, transposed: true, taps: taps, rows: dx.rows, source: dy.pointer,
            rowOffsets: { tap, rows, offsets in
                let (r, s) = ((phase.0 + before - tap / size) / stride, (phase.1 + before - tap % size) / stride)
                grid.forEach(rows) { index, b, h, w in
                    let (i, j) = (h + r, w + s)
                    let inside = i >= 0 && i < height && j >= 0 && j < width
                    offsets[index] = inside ? ((b * height + i) * width + j) * channels : -1
                }
            },
            output: StripeOutput(y: dx.pointer, residual: residual.map { UnsafePointer($0.pointer) })
        ).run()
    }

    private func interleave(_ part: Tensor, into dx: Tensor, phase: (Int, Int)) {
        let (height, width) = (part.shape[1], part.shape[2])
        engine.threads.forEach(part.shape[0] * height) { row, _ in
            let (b, h) = (row / height, row % height)
            let line = (b * dx.shape[1] + h * 2 + phase.0) * dx.shape[2] + phase.1
            for w in 0..<width {
                (dx.pointer + (line + w * 2) * inputs).update(
                    from: part.pointer + (row * width + w) * inputs, count: inputs)
            }
        }
    }
}

/// Pixels of a `[B, H, W, C]` map by row number.
struct Grid: Sendable {
    let height: Int
    let width: Int

    init(_ shape: [Int]) {
        height = shape[1]
        width = shape[2]
    }

    /// Calls `body(index, b, h, w)` for the pixels numbered `rows`, index counting from 0.
    @inline(__always) func forEach(_ rows: Range<Int>, _ body: (Int, Int, Int, Int) -> Void) {
        guard !rows.isEmpty else { return }
        var w = rows.lowerBound % width
        var h = rows.lowerBound / width % height
        var b = rows.lowerBound / (width * height)
        for index in 0..<rows.count {
            body(index, b, h, w)
            w += 1
            if w == width { (w, h) = (0, h + 1) }
            if h == height { (h, b) = (0, b + 1) }
        }
    }
}
