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
/// the operand of the gradient: one copy serves both. Half precision stays half precision (widened in the scratch);
/// everything else becomes float32.
public final class PackedFilter: @unchecked Sendable {
    /// O.
    public let outputs: Int
    /// I.
    public let inputs: Int
    /// R·S; 1 for a linear layer.
    public let taps: Int
    /// Whether the panels are in half precision; else they are float32.
    public let isHalf: Bool
    let panelWidth: Int
    private let memory: UnsafeMutableRawPointer
    private let kernels: GemmKernels

    /// Packs `[O, I]` or `[O, I, R, S]`.
    ///
    /// - Precondition: the weight has at least two axes.
    public init(weight: Weight, engine: Engine) {
        precondition(weight.shape.count >= 2, "weight \(weight.name) \(weight.shape) is not a filter")
        outputs = weight.shape[0]
        inputs = weight.shape[1]
        taps = weight.shape.dropFirst(2).reduce(1, *)
        isHalf = weight.dtype == .f16
        kernels = engine.kernels.gemm
        panelWidth = kernels.panelWidth
        let width = isHalf ? 2 : 4
        let bytes = (outputs + panelWidth - 1) / panelWidth * panelWidth * inputs * taps * width
        memory = allocateAligned(byteCount: bytes)
        let source = weight.dtype == .f16 || weight.dtype == .f32 ? weight : weight.widened()
        engine.threads.forEach(panelCount) { panel, _ in
            if isHalf {
                pack(panel, source.bytes.baseAddress!, as: UInt16.self)
            } else {
                pack(panel, source.bytes.baseAddress!, as: UInt32.self)
            }
        }
    }

    deinit { free(memory) }

    /// Panels, the last of which may be padded with zeros.
    public var panelCount: Int { (outputs + panelWidth - 1) / panelWidth }
    /// Bytes that the panels take.
    public var byteCount: Int { panelCount * panelWidth * inputs * taps * (isHalf ? 2 : 4) }

    private func pack<Bits: FixedWidthInteger>(_ panel: Int, _ source: UnsafeRawPointer, as _: Bits.Type) {
        let target = memory.assumingMemoryBound(to: Bits.self) + panel * taps * inputs * panelWidth
        let rowLength = inputs * taps
        let valid = min(panelWidth, outputs - panel * panelWidth)
        let first = source + panel * panelWidth * rowLength * MemoryLayout<Bits>.size
        for tap in 0..<taps {
            for input in 0..<inputs {
                let column = target + (tap * inputs + input) * panelWidth
                let element = first + (input * taps + tap) * MemoryLayout<Bits>.size
                for output in 0..<valid {
                    column[output] = (element + output * rowLength * MemoryLayout<Bits>.size).loadUnaligned(
                        as: Bits.self)
                }
                for output in valid..<panelWidth { column[output] = 0 }
            }
        }
    }

    /// Element index of `[panel][tap][input][0]`.
    private func index(_ panel: Int, _ tap: Int, _ input: Int) -> Int {
        ((panel * taps + tap) * inputs + input) * panelWidth
    }

    /// Weights `tap`, inputs `range`, all outputs of `panel`, as float32 `[range][panelWidth]`: where they lie if they
    /// are float32, else widened into `scratch`.
    func forwardChunk(
        panel: Int, tap: Int, range: Range<Int>, scratch: UnsafeMutablePointer<Float>
    ) -> UnsafePointer<Float> {
        let start = index(panel, tap, range.lowerBound)
        guard isHalf else { return UnsafePointer(memory.assumingMemoryBound(to: Float.self) + start) }
        kernels.widen(memory.assumingMemoryBound(to: UInt16.self) + start, range.count * panelWidth, scratch)
        return UnsafePointer(scratch)
    }

    /// The transposed filter: inputs `panel·panelWidth …` as columns, outputs `range` as depth, `[range][panelWidth]` in
    /// `scratch`. `range` starts at a multiple of `panelWidth`; `scratch` has room for whole squares.
    func transposedChunk(panel: Int, tap: Int, range: Range<Int>, scratch: UnsafeMutablePointer<Float>) {
        let firstInput = panel * panelWidth
        let valid = min(panelWidth, inputs - firstInput)
        var output = range.lowerBound
        while output < range.upperBound {
            let start = index(output / panelWidth, tap, firstInput)
            let target = scratch + (output - range.lowerBound) * panelWidth
            if isHalf {
                kernels.transposePanelHalf(memory.assumingMemoryBound(to: UInt16.self) + start, valid, target)
            } else {
                kernels.transposePanel(memory.assumingMemoryBound(to: Float.self) + start, valid, target)
            }
            output += panelWidth
        }
    }

    /// Hints that weights will be read soon: piece number `piece` of `pieces` equal pieces of what `forwardChunk` or
    /// `transposedChunk` of these taps would read. Weights come from memory in runs of 2–4 KB, too short for the
    /// processor to guess what follows; asked for while the panel before is multiplied, they are there in time.
    func prefetch(
        piece: Int, of pieces: Int, panel: Int, taps: Range<Int>, range: Range<Int>, transposed: Bool
    ) {
        let bytes = isHalf ? 2 : 4
        let inputRows = transposed ? min(panelWidth, inputs - panel * panelWidth) : range.count
        let runs = transposed ? (range.count + panelWidth - 1) / panelWidth * taps.count : taps.count
        let (lineCount, runLines) = (runs * inputRows * panelWidth * bytes / 64, inputRows * panelWidth * bytes / 64)
        var line = lineCount * piece / pieces
        let end = lineCount * (piece + 1) / pieces
        while line < end {
            let (run, first) = (line / runLines, line % runLines)
            let count = min(runLines - first, end - line)
            let tap = taps.lowerBound + run % taps.count
            let start = transposed
                ? index(range.lowerBound / panelWidth + run / taps.count, tap, panel * panelWidth)
                : index(panel, tap, range.lowerBound)
            kernels.prefetch(memory + start * bytes + first * 64, count * 64)
            line += count
        }
    }

    /// Winograd-transformed 3×3 weights of one panel, `[element][range][panelWidth]` with elements `elementStride`
    /// apart, into `out`. With `transposed` the
    /// panel counts inputs, `range` counts outputs, and the filter is turned by 180°: the gradient's filter.
    /// `scratch` has room for nine transposed taps.
    func winograd(
        _ transform: WinogradKernels, panel: Int, range: Range<Int>, transposed: Bool,
        scratch: UnsafeMutablePointer<Float>, out: UnsafeMutablePointer<Float>, elementStride: Int
    ) {
        if transposed {
            let squares = (range.count + panelWidth - 1) / panelWidth * panelWidth * panelWidth
            for tap in 0..<9 {
                transposedChunk(panel: panel, tap: tap, range: range, scratch: scratch + tap * squares)
            }
            transform.filter(scratch + 8 * squares, -squares, range.count, out, elementStride)
        } else if isHalf {
            let start = memory.assumingMemoryBound(to: UInt16.self) + index(panel, 0, range.lowerBound)
            transform.filterHalf(start, inputs * panelWidth, range.count, out, elementStride)
        } else {
            let start = memory.assumingMemoryBound(to: Float.self) + index(panel, 0, range.lowerBound)
            transform.filter(start, inputs * panelWidth, range.count, out, elementStride)
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
