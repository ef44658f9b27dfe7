import KernelInterface
import Tensors

/// One product of gathered rows with a packed filter: a linear layer, a convolution or the gradient of either.
///
///     out[m, n] = Σ_tap Σ_k source[offset(tap, m) + k] · filter(tap, k, n)   (+ residual[m, n]) (+ bias[n])
///
/// An implicit GEMM: a convolution's patches are gathered while packing, one tap at a time, so no im2col buffer exists.
/// Work is split over blocks of rows and groups of column panels; every element's sum runs over (tap, k) in one order
/// whatever the split, so results do not depend on the thread count.
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
    let out: UnsafeMutablePointer<Float>
    var bias: UnsafePointer<Float>? = nil
    var residual: UnsafePointer<Float>? = nil
    /// Values `[sample][column]` added to all rows of a sample (the time embedding's share), and rows per sample.
    var sampleBias: (values: UnsafePointer<Float>, rowsPerSample: Int)? = nil

    private var depth: Int { transposed ? filter.outputs : filter.inputs }
    private var columns: Int { transposed ? filter.inputs : filter.outputs }

    /// Depth that one block of packed rows covers: `panelWidth · maxDepth` floats of a panel stay in the first-level
    /// cache, `blockRows · maxDepth` of packed rows in the second.
    static let maxDepth = 320
    static let blockRows = 240

    /// A run of depth within one tap.
    private struct Segment {
        let tap: Int
        let range: Range<Int>
    }

    /// Depth cut into blocks of at most `maxDepth`: equal pieces of wide taps, or several narrow taps together.
    private func depthBlocks() -> [[Segment]] {
        let pieces = (depth + Self.maxDepth - 1) / Self.maxDepth
        let width = filter.panelWidth
        let piece = (depth + pieces * width - 1) / (pieces * width) * width
        var blocks: [[Segment]] = []
        var used = Self.maxDepth
        for tap in taps.indices {
            for start in stride(from: 0, to: depth, by: piece) {
                let segment = Segment(tap: tap, range: start..<min(depth, start + piece))
                let need = segment.range.count
                if used + need <= Self.maxDepth {
                    blocks[blocks.count - 1].append(segment)
                    used += need
                } else {
                    blocks.append([segment])
                    used = need
                }
            }
        }
        return blocks
    }

    func run() {
        let gemm = engine.kernels.gemm
        let panels = (columns + gemm.panelWidth - 1) / gemm.panelWidth
        let tiles = (rows + gemm.tileRows - 1) / gemm.tileRows
        let rowsPerBlock = pieceSize(tiles, pieces: (rows + Self.blockRows - 1) / Self.blockRows) * gemm.tileRows
        let rowBlocks = (rows + rowsPerBlock - 1) / rowsPerBlock
        // Several tasks a thread, so that threads finish together; groups of panels only when rows do not suffice,
        // because each group packs the rows again.
        let panelsPerGroup = pieceSize(panels, pieces: (6 * engine.threads.count + rowBlocks - 1) / rowBlocks)
        let groups = (panels + panelsPerGroup - 1) / panelsPerGroup
        let blocks = depthBlocks()

        let packedCount = rowsPerBlock * (packsOnce ? depth * taps.count : Self.maxDepth)
        let panelCount = (Self.maxDepth + gemm.panelWidth) * gemm.panelWidth
        let scratch = Tensor([engine.threads.count, packedCount + panelCount], in: engine.workspace)

        engine.threads.forEach(rowBlocks * groups) { task, worker in
            let (block, group) = (task / groups, task % groups)
            let packed = scratch.pointer + worker * (packedCount + panelCount)
            multiply(
                block * rowsPerBlock..<min(rows, (block + 1) * rowsPerBlock),
                group * panelsPerGroup..<min(panels, (group + 1) * panelsPerGroup), blocks, packed,
                packed + packedCount)
        }
    }

    /// Size of each of about `pieces` equal pieces of `count` things (at least one thing each).
    private func pieceSize(_ count: Int, pieces: Int) -> Int {
        max(1, (count + pieces - 1) / max(pieces, 1))
    }

    /// Whether a block of rows is packed in its whole depth at once (up to 1.3 MB), for all panels.
    private var packsOnce: Bool { depth * taps.count <= 1280 }

    /// All depth for one stripe of panels after the other, so that a stripe of C stays in the second-level cache from
    /// its first partial sum to its bias: with 640 or 1280 of depth and 5120 or 10240 columns, C would otherwise go
    /// through memory once per depth block.
    private func multiply(
        _ rowRange: Range<Int>, _ panelRange: Range<Int>, _ blocks: [[Segment]],
        _ packed: UnsafeMutablePointer<Float>, _ panelScratch: UnsafeMutablePointer<Float>
    ) {
        let gemm = engine.kernels.gemm
        let stripe = packsOnce ? 8 : 16
        for first in stride(from: panelRange.lowerBound, to: panelRange.upperBound, by: stripe) {
            let panels = first..<min(panelRange.upperBound, first + stripe)
            var packedBlock = packed
            for (index, segments) in blocks.enumerated() {
                let blockDepth = segments.reduce(0) { $0 + $1.range.count }
                if !packsOnce || first == panelRange.lowerBound {
                    pack(rowRange, segments, blockDepth, packedBlock)
                }
                for panel in panels {
                    let column = panel * gemm.panelWidth
                    gemm.multiply(
                        packedBlock, rowRange.count, blockDepth, chunk(panel, segments, panelScratch),
                        min(gemm.panelWidth, columns - column), out + rowRange.lowerBound * columns + column, columns,
                        index > 0)
                }
                if packsOnce {
                    packedBlock += (rowRange.count + gemm.tileRows - 1) / gemm.tileRows * gemm.tileRows * blockDepth
                }
            }
            finish(rowRange, panels)
        }
    }

    private func pack(
        _ rowRange: Range<Int>, _ segments: [Segment], _ blockDepth: Int, _ packed: UnsafeMutablePointer<Float>
    ) {
        let gemm = engine.kernels.gemm
        withUnsafeTemporaryAllocation(of: Int.self, capacity: rowRange.count) { offsets in
            var start = 0
            for segment in segments {
                rowOffsets(taps[segment.tap], rowRange, offsets.baseAddress!)
                gemm.packRows(
                    source + segment.range.lowerBound, offsets.baseAddress!, rowRange.count, segment.range.count,
                    packed + start * gemm.tileRows, blockDepth * gemm.tileRows)
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

    /// Residual and bias, while the stripe is still in the cache.
    private func finish(_ rowRange: Range<Int>, _ panelRange: Range<Int>) {
        guard bias != nil || residual != nil || sampleBias != nil else { return }
        let gemm = engine.kernels.gemm
        let first = panelRange.lowerBound * gemm.panelWidth
        let width = min(columns, panelRange.upperBound * gemm.panelWidth) - first
        let start = rowRange.lowerBound * columns + first
        gemm.addRows(
            out + start, columns, rowRange.count, width, bias.map { $0 + first }, residual.map { $0 + start }, columns)
        guard let (values, rowsPerSample) = sampleBias else { return }
        var row = rowRange.lowerBound
        while row < rowRange.upperBound {
            let sample = row / rowsPerSample
            let end = min(rowRange.upperBound, (sample + 1) * rowsPerSample)
            gemm.addRows(
                out + row * columns + first, columns, end - row, width, values + sample * columns + first, nil, 0)
            row = end
        }
    }
}
