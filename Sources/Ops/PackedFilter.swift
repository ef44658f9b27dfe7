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
    let layout: FilterLayout
    let operands: Operands
    private let memory: UnsafeRawPointer
    /// What keeps the memory alive; nil if it is this filter's own.
    private let owner: AnyObject?
    private let kernels: KernelTable

    /// Packs `[O, I]` or `[O, I, R, S]` in the engine's precision.
    ///
    /// - Precondition: the weight has at least two axes.
    public init(weight: Weight, engine: Engine) {
        precondition(weight.shape.count >= 2, "weight \(weight.name) \(weight.shape) is not a filter")
        kernels = engine.kernels
        operands = engine.operands
        layout = FilterLayout(shape: weight.shape, isHalf: weight.dtype == .f16, engine: engine)
        memory = UnsafeRawPointer(FilterPacking(layout, kernels).pack(weight, engine.threads))
        owner = nil
    }

    /// A filter that was packed before for such an engine, where its bytes lie.
    ///
    /// - Returns: nil if a filter of that shape has another number of bytes.
    package init?(shape: [Int], panels: UnsafeRawBufferPointer, owner: AnyObject, engine: Engine) {
        let layouts = [true, false].map { FilterLayout(shape: shape, isHalf: $0, engine: engine) }
        guard let layout = layouts.first(where: { $0.byteCount == panels.count }), let start = panels.baseAddress else {
            return nil
        }
        (self.layout, memory, self.owner) = (layout, start, owner)
        (kernels, operands) = (engine.kernels, engine.operands)
    }

    deinit { if owner == nil { free(UnsafeMutableRawPointer(mutating: memory)) } }

    /// O.
    public var outputs: Int { layout.outputs }
    /// I.
    public var inputs: Int { layout.inputs }
    /// R·S; 1 for a linear layer.
    public var taps: Int { layout.taps }
    /// What this filter's products round their operands to.
    public var precision: Precision { layout.precision }
    /// Panels, the last of which may be padded with zeros.
    public var panelCount: Int { layout.panelCount }
    /// Bytes that the panels take.
    public var byteCount: Int { layout.byteCount }
    /// The panels; valid while this object lives.
    package var panels: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: memory, count: byteCount) }
    var panelWidth: Int { layout.panelWidth }
    private var panelRows: Int { layout.panelRows }
    private var rowBytes: Int { layout.rowBytes }
    private var isHalf: Bool { layout.isHalf }

    private func index(_ panel: Int, _ tap: Int, _ row: Int) -> Int { layout.index(panel, tap, row) }

    private var halves: UnsafePointer<UInt16> { memory.assumingMemoryBound(to: UInt16.self) }
    private var pairs: UnsafePointer<UInt32> { memory.assumingMemoryBound(to: UInt32.self) }
    private var floats: UnsafePointer<Float> { memory.assumingMemoryBound(to: Float.self) }

    /// Weights `tap`, words `range` of inputs, all outputs of `panel`, as words `[range][panelWidth]`: where they lie, or,
    /// if they are in half precision, widened into `scratch`.
    func forwardChunk(
        panel: Int, tap: Int, range: Range<Int>, scratch: UnsafeMutablePointer<Float>
    ) -> UnsafePointer<Float> {
        let start = index(panel, tap, range.lowerBound)
        guard isHalf else { return floats + start }
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
            case .bfloat16: kernels.bfloat16.transposePanel(pairs + start, valid, target.words)
            case .float32 where isHalf: kernels.gemm.transposePanelHalf(halves + start, valid, target)
            case .float32: kernels.gemm.transposePanel(floats + start, valid, target)
            }
            output += squareRows
        }
    }

    /// The words of channels `range`, which starts at a multiple of `panelWidth`.
    func words(_ range: Range<Int>) -> Range<Int> {
        range.lowerBound / operands.termsPerWord..<operands.words(range.upperBound)
    }

    /// Hints that weights will be read soon: piece number `piece` of `pieces` equal pieces of what `forwardChunk` or
    /// `transposedChunk` of these taps and words would read. Weights come from memory in runs of 2–4 KB, too short for the
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

    /// Winograd-transformed 3×3 weights of one panel, element by element `[words][panelWidth]`, `elementStride` words
    /// apart, into `out`. With `transposed` the panel counts inputs, `range` counts outputs, and the filter is turned by
    /// 180°: the gradient's filter. `scratch` has room for nine transposed taps. `range` starts at a multiple of
    /// `panelWidth`.
    func winograd(
        _ transforms: WinogradTransforms, panel: Int, range: Range<Int>, transposed: Bool,
        scratch: UnsafeMutablePointer<Float>, out: UnsafeMutablePointer<Float>, elementStride: Int
    ) {
        let rows = words(range)
        let stride = (rows.count + panelWidth - 1) / panelWidth * panelWidth * panelWidth
        if transposed {
            for tap in 0..<9 {
                transposedChunk(panel: panel, tap: tap, range: rows, scratch: scratch + tap * stride)
            }
        }
        let start = index(panel, 0, rows.lowerBound)
        let (tapStride, depth) = (panelRows * panelWidth, range.count)
        switch (transforms, transposed) {
        case (.integers(let kernels), true):
            kernels.filter(scratch.words + 8 * stride, -stride, depth, out.words, elementStride)
        case (.integers(let kernels), false):
            kernels.filter(pairs + start, tapStride, depth, out.words, elementStride)
        case (.float32(let kernels), true): kernels.filter(scratch + 8 * stride, -stride, depth, out, elementStride)
        case (.float32(let kernels), false) where isHalf:
            kernels.filterHalf(halves + start, tapStride, depth, out, elementStride)
        case (.float32(let kernels), false): kernels.filter(floats + start, tapStride, depth, out, elementStride)
        }
    }
}
