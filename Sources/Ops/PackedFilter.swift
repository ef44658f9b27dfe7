import KernelInterface
import Tensors

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The weights of a linear layer `[O, I]` or a convolution `[O, I, R, S]`, packed once for the kernels that read them.
///
/// Layout: panels of `panelWidth` outputs, each `[tap = r·S + s][i][panelWidth]`, the last one padded with zeros. That is
/// the register tile's operand for the forward product, and transposing squares of it on the way into scratch gives
/// the operand of the gradient: one copy serves both. In bfloat16 a row of a panel holds pairs of inputs. In float32,
/// weights in half precision stay that (and are widened in the scratch); everything else becomes float32.
public final class PackedFilter: @unchecked Sendable {
    /// O.
    public let outputs: Int
    /// I.
    public let inputs: Int
    /// R·S; 1 for a linear layer.
    public let taps: Int
    /// What this filter's products round their operands to.
    public let precision: Precision
    let operands: Operands
    let panelWidth: Int
    /// Rows of a panel per tap: inputs, or pairs of them.
    private let panelRows: Int
    /// Float32 weights in half precision.
    private let isHalf: Bool
    private let memory: UnsafeMutableRawPointer
    private let kernels: KernelTable

    /// Packs `[O, I]` or `[O, I, R, S]` in the engine's precision.
    ///
    /// - Precondition: the weight has at least two axes.
    public init(weight: Weight, engine: Engine) {
        precondition(weight.shape.count >= 2, "weight \(weight.name) \(weight.shape) is not a filter")
        outputs = weight.shape[0]
        inputs = weight.shape[1]
        taps = weight.shape.dropFirst(2).reduce(1, *)
        precision = engine.precision
        operands = Operands(precision, engine.kernels)
        kernels = engine.kernels
        panelWidth = kernels.gemm.panelWidth
        panelRows = operands.words(inputs)
        isHalf = precision == .float32 && weight.dtype == .f16
        let panels = (outputs + panelWidth - 1) / panelWidth
        memory = allocateAligned(byteCount: panels * panelWidth * panelRows * taps * (isHalf ? 2 : 4))
        let source = weight.dtype == .f16 || weight.dtype == .f32 ? weight : weight.widened()
        engine.threads.forEach(panelCount) { panel, _ in pack(panel, source) }
    }

    deinit { free(memory) }

    /// Panels, the last of which may be padded with zeros.
    public var panelCount: Int { (outputs + panelWidth - 1) / panelWidth }
    /// Bytes that the panels take.
    public var byteCount: Int { panelCount * panelWidth * panelRows * taps * rowBytes / panelWidth }
    /// Bytes of a row of a panel.
    private var rowBytes: Int { panelWidth * (isHalf ? 2 : 4) }

    private func pack(_ panel: Int, _ source: Weight) {
        let target = memory + index(panel, 0, 0) * (isHalf ? 2 : 4)
        switch (precision, source.dtype) {
        case (.bfloat16, .f16):
            withGathered(panel, source, as: UInt16.self) { halves in
                withUnsafeTemporaryAllocation(of: Float.self, capacity: inputs * panelWidth) { wide in
                    for tap in 0..<taps {
                        let count = inputs * panelWidth
                        kernels.gemm.widen(halves + tap * count, count, wide.baseAddress!)
                        packPairs(wide.baseAddress!, tap, target)
                    }
                }
            }
        case (.bfloat16, _):
            withGathered(panel, source, as: Float.self) { numbers in
                for tap in 0..<taps { packPairs(numbers + tap * inputs * panelWidth, tap, target) }
            }
        case (.float32, .f16): gather(panel, source, target.assumingMemoryBound(to: UInt16.self))
        case (.float32, _): gather(panel, source, target.assumingMemoryBound(to: Float.self))
        }
    }

    private func packPairs(_ numbers: UnsafePointer<Float>, _ tap: Int, _ target: UnsafeMutableRawPointer) {
        kernels.bfloat16.packPanel(
            numbers, inputs, target.assumingMemoryBound(to: UInt32.self) + tap * panelRows * panelWidth)
    }

    private func withGathered<Number: BitwiseCopyable & ExpressibleByIntegerLiteral>(
        _ panel: Int, _ source: Weight, as _: Number.Type, _ body: (UnsafePointer<Number>) -> Void
    ) {
        withUnsafeTemporaryAllocation(of: Number.self, capacity: taps * inputs * panelWidth) {
            gather(panel, source, $0.baseAddress!)
            body(UnsafePointer($0.baseAddress!))
        }
    }

    /// A panel `[tap][i][panelWidth]` of the weights as they lie in their file.
    private func gather<Number: BitwiseCopyable & ExpressibleByIntegerLiteral>(
        _ panel: Int, _ source: Weight, _ target: UnsafeMutablePointer<Number>
    ) {
        let (rowLength, size) = (inputs * taps, MemoryLayout<Number>.size)
        let valid = min(panelWidth, outputs - panel * panelWidth)
        let first = source.bytes.baseAddress! + panel * panelWidth * rowLength * size
        for tap in 0..<taps {
            for input in 0..<inputs {
                let column = target + (tap * inputs + input) * panelWidth
                let element = first + (input * taps + tap) * size
                for output in 0..<valid {
                    column[output] = (element + output * rowLength * size).loadUnaligned(as: Number.self)
                }
                for output in valid..<panelWidth { column[output] = 0 }
            }
        }
    }

    /// Element index of `[panel][tap][row][0]`.
    private func index(_ panel: Int, _ tap: Int, _ row: Int) -> Int {
        ((panel * taps + tap) * panelRows + row) * panelWidth
    }

    private var halves: UnsafeMutablePointer<UInt16> { memory.assumingMemoryBound(to: UInt16.self) }
    private var words: UnsafeMutablePointer<UInt32> { memory.assumingMemoryBound(to: UInt32.self) }
    private var floats: UnsafeMutablePointer<Float> { memory.assumingMemoryBound(to: Float.self) }

    /// Weights `tap`, words `range` of inputs, all outputs of `panel`, as words `[range][panelWidth]`: where they lie, or,
    /// if they are in half precision, widened into `scratch`.
    func forwardChunk(
        panel: Int, tap: Int, range: Range<Int>, scratch: UnsafeMutablePointer<Float>
    ) -> UnsafePointer<Float> {
        let start = index(panel, tap, range.lowerBound)
        guard isHalf else { return UnsafePointer(floats + start) }
        kernels.gemm.widen(halves + start, range.count * panelWidth, scratch)
        return UnsafePointer(scratch)
    }

    /// The transposed filter: inputs `panel·panelWidth …` as columns, words `range` of outputs as depth,
    /// `[range][panelWidth]` in `scratch`. `range` starts at a multiple of `panelWidth`; `scratch` has room for whole squares.
    func transposedChunk(panel: Int, tap: Int, range: Range<Int>, scratch: UnsafeMutablePointer<Float>) {
        let firstInput = panel * panelWidth
        let valid = min(panelWidth, inputs - firstInput)
        let squareRows = operands.words(panelWidth)
        var output = range.lowerBound
        while output < range.upperBound {
            let start = index(output / squareRows, tap, operands.words(firstInput))
            let target = scratch + (output - range.lowerBound) * panelWidth
            switch precision {
            case .bfloat16: kernels.bfloat16.transposePanel(words + start, valid, target.words)
            case .float32 where isHalf: kernels.gemm.transposePanelHalf(halves + start, valid, target)
            case .float32: kernels.gemm.transposePanel(floats + start, valid, target)
            }
            output += squareRows
        }
    }

    /// Hints that weights will be read soon: piece number `piece` of `pieces` equal pieces of what `forwardChunk` or
    /// `transposedChunk` of these taps would read. Weights come from memory in runs of 2–4 KB, too short for the
    /// processor to guess what follows; asked for while the panel before is multiplied, they are there in time.
    func prefetch(
        piece: Int, of pieces: Int, panel: Int, taps: Range<Int>, range: Range<Int>, transposed: Bool
    ) {
        let squareRows = operands.words(panelWidth)
        let firstRow = panel * squareRows
        let rows = transposed ? min(squareRows, panelRows - firstRow) : range.count
        let runs = transposed ? (range.count + squareRows - 1) / squareRows * taps.count : taps.count
        let runLines = rows * rowBytes / 64
        let lineCount = runs * runLines
        var line = lineCount * piece / pieces
        let end = lineCount * (piece + 1) / pieces
        while line < end {
            let (run, first) = (line / runLines, line % runLines)
            let count = min(runLines - first, end - line)
            let tap = taps.lowerBound + run % taps.count
            let start = transposed
                ? index(range.lowerBound / squareRows + run / taps.count, tap, firstRow)
                : index(panel, tap, range.lowerBound)
            kernels.gemm.prefetch(memory + start / panelWidth * rowBytes + first * 64, count * 64)
            line += count
        }
    }

    /// Winograd-transformed 3×3 weights of one panel in float32, `[element][range][panelWidth]` with elements
    /// `elementStride` apart, into `out`. With `transposed` the panel counts inputs, `range` counts outputs, and the filter
    /// is turned by 180°: the gradient's filter. `scratch` has room for nine transposed taps. `range` starts at a
    /// multiple of `panelWidth`.
    func winograd(
        _ transform: WinogradKernels, panel: Int, range: Range<Int>, transposed: Bool,
        scratch: UnsafeMutablePointer<Float>, out: UnsafeMutablePointer<Float>, elementStride: Int
    ) {
        let rows = range.lowerBound / operands.termsPerWord..<operands.words(range.upperBound)
        let stride = (rows.count + panelWidth - 1) / panelWidth * panelWidth * panelWidth
        if transposed {
            for tap in 0..<9 {
                transposedChunk(panel: panel, tap: tap, range: rows, scratch: scratch + tap * stride)
            }
        }
        let start = index(panel, 0, rows.lowerBound)
        switch (precision, transposed) {
        case (.bfloat16, true):
            transform.filterPairs(scratch.words + 8 * stride, -stride, range.count, out, elementStride)
        case (.bfloat16, false):
            transform.filterPairs(words + start, panelRows * panelWidth, range.count, out, elementStride)
        case (.float32, true): transform.filter(scratch + 8 * stride, -stride, range.count, out, elementStride)
        case (.float32, false) where isHalf:
            transform.filterHalf(halves + start, inputs * panelWidth, range.count, out, elementStride)
        case (.float32, false):
            transform.filter(floats + start, inputs * panelWidth, range.count, out, elementStride)
        }
    }
}

extension Weight {
    /// The same weight in float32, in memory of its own.
    func widened() -> Weight {
        let tensor = Tensor(shape)
        copyFloats(into: tensor.pointer)
        return Weight(name: name, tensor: tensor)
    }
}
