import KernelInterface
import Tensors

/// One product of gathered rows with a packed filter: a linear layer, a convolution or the gradient of either.
///
///     out[m, n] = Σ_tap Σ_k source[offset(tap, m) + k] · filter(tap, k, n)   (+ residual[m, n]) (+ bias[n])
///
/// An implicit GEMM: a convolution's patches are gathered while packing, one tap at a time, so no im2col buffer exists.
/// Work is split over blocks of rows and groups of column panels; every element's sum runs over (tap, k) in one order
/// whatever the split, so results do not depend on the thread count.
///
/// Sums grow in scratch, a stripe of panels at a time, and go to memory once, with bias, residual or gate applied
/// (`StripeOutput`). In their final place the rows of a tile would lie kilobytes apart, for 5120 and 10240 columns all
/// in one set of the first-level cache.
struct FilterProduct: @unchecked Sendable {
    /// What a tap reads: indices of the filter's taps, and for each output row where its input row starts.
    typealias RowOffsets = @Sendable (
        _ tap: Int, _ rows: Range<Int>, _ offsets: UnsafeMutablePointer<Int>
    ) -> Void

    let engine: Engine
    let filter: PackedFilter
    /// The gradient's product: the filter transposed, depth = its outputs.
    let transposed: Bool
    /// Taps of the filter, in the order they are summed.
    let taps: [Int]
    let rows: Int
    let source: UnsafePointer<Float>
    let rowOffsets: RowOffsets
    let output: StripeOutput

    /// Terms of the sum per tap.
    private var terms: Int { transposed ? filter.outputs : filter.inputs }
    /// Words that these take (`Operands`): all depths below are in words.
    var depth: Int { filter.operands.words(terms) }
    var columns: Int { transposed ? filter.inputs : filter.outputs }

    /// Depth that one block of packed rows covers: `(panelWidth + tileRows) · maxDepth` floats stay in the first-level
    /// cache, `blockRows · maxDepth` of packed rows in the second beside a stripe of sums.
    static let maxDepth = 256
    static let blockRows = 288
    /// Depth up to which a task keeps its rows packed as a whole (1.3 MB) for all its stripes.
    static let maxHeldDepth = 1280
    /// Floats up to which rows that several tasks need are packed once for all of them.
    static let maxShared = 8 << 20

    /// A run of depth within one tap.
    private struct Segment {
        let tap: Int
        let range: Range<Int>
    }

    /// Runs of depth that are packed and multiplied together, `start` after the beginning of all.
    private struct DepthBlock {
        var segments: [Segment]
        let start: Int
        var depth: Int
    }

    /// Depth cut into blocks of at most `maxDepth`: equal pieces of wide taps, or several narrow taps together.
    private func depthBlocks() -> [DepthBlock] {
        let pieces = (depth + Self.maxDepth - 1) / Self.maxDepth
        let width = filter.panelWidth
        let piece = (depth + pieces * width - 1) / (pieces * width) * width
        var blocks: [DepthBlock] = []
        for tap in taps.indices {
            for start in stride(from: 0, to: depth, by: piece) {
                let segment = Segment(tap: tap, range: start..<min(depth, start + piece))
                let need = segment.range.count
                if let last = blocks.last, last.depth + need <= Self.maxDepth {
                    blocks[blocks.count - 1].segments.append(segment)
                    blocks[blocks.count - 1].depth += need
                } else {
                    blocks.append(
                        DepthBlock(segments: [segment], start: tap * depth + start, depth: need))
                }
            }
        }
        return blocks
    }

    func run() {
        let (plan, blocks) = (plan(), depthBlocks())
        let width = engine.kernels.gemm.panelWidth
        let allRows = plan.rowsPerBlock * depth * taps.count
        let shared = Tensor([plan.isShared ? plan.rowBlocks * allRows : 0], in: engine.workspace)
        if plan.isShared { packAll(plan, blocks, shared, allRows) }

        let packedCount =
            plan.isShared ? 0 : plan.holdsAllDepth ? allRows : plan.rowsPerBlock * (Self.maxDepth + width)
        let panelCount = (Self.maxDepth + width) * width
        let sumCount = plan.stripe * output.operands * plan.rowsPerBlock * width
        let scratch = Tensor([engine.threads.count, packedCount + panelCount + sumCount], in: engine.workspace)
        let panels = output.panels(columns, width)
        let bytes = filter.byteCount + 4 * rows * (terms + columns)
        engine.threads.forEach(plan.rowBlocks * plan.groups, bytes: bytes) { task, worker in
            // Neighbouring tasks take the same weights: the second finds them in the shared cache.
            let (group, block) = (task / plan.rowBlocks, task % plan.rowBlocks)
            filter.operands.beginProducts()
            defer { filter.operands.endProducts() }
            let own = scratch.pointer + worker * scratch.channels
            multiply(
                plan, blocks, rowRange(plan, block),
                group * plan.panelsPerGroup..<min(panels, (group + 1) * plan.panelsPerGroup),
                packed: plan.isShared ? shared.pointer + block * allRows : own, panelScratch: own + packedCount,
                sums: own + packedCount + panelCount)
        }
    }

    private func rowRange(_ plan: Plan, _ block: Int) -> Range<Int> {
        block * plan.rowsPerBlock..<min(rows, (block + 1) * plan.rowsPerBlock)
    }

    /// Blocks of rows in as many parts as give every thread some.
    private func packAll(_ plan: Plan, _ blocks: [DepthBlock], _ packed: Tensor, _ allRows: Int) {
        let tileRows = filter.operands.tileRows
        let wholes = plan.rowBlocks * blocks.count
        let wanted = min(plan.tilesPerBlock, max(1, 3 * engine.threads.count / wholes))
        let partRows = (plan.tilesPerBlock + wanted - 1) / wanted * tileRows
        let parts = (plan.rowsPerBlock + partRows - 1) / partRows
        engine.threads.forEach(wholes * parts) { task, _ in
            let (whole, part) = (task / parts, task % parts)
            let (rowBlock, depthBlock) = (whole / blocks.count, blocks[whole % blocks.count])
            let range = rowRange(plan, rowBlock)
            let first = range.lowerBound + part * partRows
            guard first < range.upperBound else { return }
            pack(
                first..<min(range.upperBound, first + partRows), depthBlock,
                packed.pointer + rowBlock * allRows + plan.rowsPerBlock * depthBlock.start
                    + part * partRows * depthBlock.depth)
        }
    }

    /// All depth for one stripe of panels after the other, so that its sums stay in the second-level cache.
    private func multiply(
        _ plan: Plan, _ blocks: [DepthBlock], _ rowRange: Range<Int>, _ panelRange: Range<Int>,
        packed: UnsafeMutablePointer<Float>, panelScratch: UnsafeMutablePointer<Float>,
        sums: UnsafeMutablePointer<Float>
    ) {
        let gemm = engine.kernels.gemm
        let panelStride = rowRange.count * gemm.panelWidth
        for first in stride(from: panelRange.lowerBound, to: panelRange.upperBound, by: plan.stripe) {
            let stripe = first..<min(panelRange.upperBound, first + plan.stripe)
            for (index, block) in blocks.enumerated() {
                let operand = packed + (plan.holdsAllDepth ? plan.rowsPerBlock * block.start : 0)
                if !plan.holdsAllDepth || (!plan.isShared && first == panelRange.lowerBound) {
                    pack(rowRange, block, operand)
                }
                let slots = stripe.count * output.operands
                for slot in 0..<slots {
                    let panel = output.filterPanel(slot, stripe, columns, gemm.panelWidth)
                    let following: (Int, DepthBlock)? =
                        slot + 1 < slots
                        ? (output.filterPanel(slot + 1, stripe, columns, gemm.panelWidth), block)
                        : index + 1 < blocks.count
                            ? (output.filterPanel(0, stripe, columns, gemm.panelWidth), blocks[index + 1])
                            : stripe.upperBound < panelRange.upperBound ? (stripe.upperBound, blocks[0]) : nil
                    multiply(
                        operand, rowRange.count, block, chunk(panel, block.segments, panelScratch),
                        sums + slot * panelStride, following: following)
                }
            }
            output.write(gemm, sums, panelStride, rowRange, stripe, columns)
        }
    }

    /// The product of packed rows with one panel's chunk, in steps of two row tiles; the weights that come next are asked
    /// for on the way.
    private func multiply(
        _ packed: UnsafePointer<Float>, _ count: Int, _ block: DepthBlock, _ weights: UnsafePointer<Float>,
        _ sums: UnsafeMutablePointer<Float>, following: (panel: Int, block: DepthBlock)?
    ) {
        let width = engine.kernels.gemm.panelWidth
        let (multiply, step) = (filter.operands.multiply, 2 * filter.operands.tileRows)
        for row in stride(from: 0, to: count, by: step) {
            if let following, following.block.segments.count == 1 {
                let segment = following.block.segments[0]
                filter.prefetch(
                    piece: row / step, of: (count + step - 1) / step, panel: following.panel,
                    taps: taps[segment.tap]..<taps[segment.tap] + 1, range: segment.range, transposed: transposed)
            }
            multiply(
                packed + row * block.depth, min(step, count - row), block.depth, weights, width, sums + row * width, width,
                block.start > 0)
        }
    }

    private func pack(_ rowRange: Range<Int>, _ block: DepthBlock, _ packed: UnsafeMutablePointer<Float>) {
        let operands = filter.operands
        withUnsafeTemporaryAllocation(of: Int.self, capacity: rowRange.count) { offsets in
            var start = 0
            for segment in block.segments {
                rowOffsets(taps[segment.tap], rowRange, offsets.baseAddress!)
                let first = segment.range.lowerBound * operands.termsPerWord
                operands.packRows(
                    source + first, offsets.baseAddress!, rowRange.count,
                    min(terms - first, segment.range.count * operands.termsPerWord), packed + start * operands.tileRows,
                    block.depth * operands.tileRows)
                start += segment.range.count
            }
        }
    }

    /// The panel's weights for one block of depth, contiguous.
    private func chunk(
        _ panel: Int, _ segments: [Segment], _ scratch: UnsafeMutablePointer<Float>
    ) -> UnsafePointer<Float> {
        if !transposed && segments.count == 1 {
            let segment = segments[0]
            return filter.forwardChunk(
                panel: panel, tap: taps[segment.tap], range: segment.range, scratch: scratch)
        }
        var target = scratch
        for segment in segments {
            let tap = taps[segment.tap]
            if transposed {
                filter.transposedChunk(panel: panel, tap: tap, range: segment.range, scratch: target)
            } else {
                let weights = filter.forwardChunk(panel: panel, tap: tap, range: segment.range, scratch: target)
                if weights != UnsafePointer(target) {
                    target.update(from: weights, count: segment.range.count * filter.panelWidth)
                }
            }
            target += segment.range.count * filter.panelWidth
        }
        return UnsafePointer(scratch)
    }
}
