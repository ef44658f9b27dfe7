import KernelInterface
import Tensors

/// A stride-1 3×3 convolution with symmetric padding (or its input gradient, which is one with the filter turned and
/// transposed) by Winograd's F(m×m, 3×3).
///
/// Tiles are taken in groups of `groupTiles`. First every task transforms a few tiles of input into packed rows; then
/// every task takes one panel of outputs and one group, and for each `depthBlock` channels transforms the panel's
/// weights into scratch and multiplies. Transformed weights and products never leave a core's second-level cache;
/// transformed input is written once and read back by every panel, at most `maxTransformed` floats at a time.
struct WinogradProduct: @unchecked Sendable {
    let engine: Engine
    let transforms: WinogradTransforms
    let filter: PackedFilter
    let transposed: Bool
    let x: Tensor
    let out: Tensor
    var bias: UnsafePointer<Float>? = nil
    var sampleBias: UnsafePointer<Float>? = nil
    var residual: UnsafePointer<Float>? = nil

    static let maxGroupTiles = 64
    static let maxGroup = 5 << 19
    static let maxTransformed = 4 << 20
    /// Floats between the ends and beginnings of elements. Without them 36 streams would lie multiples of 4 KB apart and
    /// fight for one set of the first-level cache (measured: 16 tiles of 1280 channels 1.6 times slower).
    static let gap = 32

    private var depth: Int { x.channels }
    /// As many tiles as fit, since every group transforms the filter anew; fewer where that leaves threads without work.
    private var groupTiles: Int {
        let gemm = engine.kernels.gemm
        let fitting = Self.maxGroup / (transforms.elements * transforms.words(depth))
        let most = min(Self.maxGroupTiles, max(1, fitting / gemm.tileRows) * gemm.tileRows)
        let (all, panels) = (tiles, (columns + gemm.panelWidth - 1) / gemm.panelWidth)
        func cost(_ size: Int) -> Int {
            let tasks = panels * ((all + size - 1) / size)
            return (tasks + engine.threads.count - 1) / engine.threads.count * (min(size, all) + transforms.filterTiles)
        }
        let fewer = stride(from: gemm.tileRows, to: most, by: gemm.tileRows)
        return fewer.reduce(most) { cost($1) < cost($0) ? $1 : $0 }
    }
    private var tiles: Int { out.shape[0] * tilesHigh * tilesWide }
    private var columns: Int { out.channels }
    private var tilesHigh: Int { (out.shape[1] + transforms.outputSize - 1) / transforms.outputSize }
    private var tilesWide: Int { (out.shape[2] + transforms.outputSize - 1) / transforms.outputSize }

    func run() {
        let gemm = engine.kernels.gemm
        let (tiles, groupTiles) = (tiles, groupTiles)
        let groupRows = (min(groupTiles, tiles) + gemm.tileRows - 1) / gemm.tileRows
        let groupSize = transformedSize(groupRows, depth)
        let groups = (tiles + groupTiles - 1) / groupTiles
        let together = max(1, min(groups, Self.maxTransformed / groupSize))
        let transformed = Tensor([together, groupSize], in: engine.workspace)
        let workers = Scratch(engine: engine, transforms: transforms)
        for first in stride(from: 0, to: groups, by: together) {
            let batch = first..<min(groups, first + together)
            transformInput(batch, tiles, groupRows, groupSize, transformed, workers)
            multiply(batch, tiles, groupRows, groupSize, transformed, workers)
        }
    }

    /// Scratch of one worker: transformed weights, products, and the taps of one panel (or the input's gathering).
    private struct Scratch: @unchecked Sendable {
        let weights: Int
        let products: Int
        let taps: Int
        let memory: Tensor

        init(engine: Engine, transforms: WinogradTransforms) {
            let width = engine.kernels.gemm.panelWidth
            let words = transforms.words(transforms.depthBlock)
            weights = transforms.elements * (words * width + WinogradProduct.gap)
            products = transforms.elements * (WinogradProduct.maxGroupTiles * width + WinogradProduct.gap)
            taps = max(9 * (words + width) * width, transforms.inputScratch(engine.kernels))
            memory = Tensor([engine.threads.count, weights + products + taps], in: engine.workspace)
        }

        func weights(_ worker: Int) -> UnsafeMutablePointer<Float> { memory.pointer + worker * memory.channels }
        func products(_ worker: Int) -> UnsafeMutablePointer<Float> { weights(worker) + weights }
        func taps(_ worker: Int) -> UnsafeMutablePointer<Float> { products(worker) + products }
    }

    /// Words of transformed input for the first `depth` channels (whole depth blocks, or all channels).
    private func transformedSize(_ groupRows: Int, _ depth: Int) -> Int {
        let blocks = (depth + transforms.depthBlock - 1) / transforms.depthBlock
        let words = transforms.words(depth)
        return transforms.elements * (groupRows * engine.kernels.gemm.tileRows * words + blocks * Self.gap)
    }

    /// Transformed input of a group: `[depth block][element][row tile][word][tileRows]`, a gap after each element.
    private func transformInput(
        _ batch: Range<Int>, _ tiles: Int, _ groupRows: Int, _ groupSize: Int, _ transformed: Tensor, _ scratch: Scratch
    ) {
        let (gemm, groupTiles) = (engine.kernels.gemm, groupTiles)
        let depthBlocks = (depth + transforms.depthBlock - 1) / transforms.depthBlock
        let bytes = 4 * (x.count + transformed.count)
        engine.threads.forEach(batch.count * groupRows * depthBlocks, bytes: bytes) { task, worker in
            let (group, rest) = (task / (groupRows * depthBlocks), task % (groupRows * depthBlocks))
            let (row, block) = (rest / depthBlocks, rest % depthBlocks)
            let firstInGroup = row * gemm.tileRows
            let first = (batch.lowerBound + group) * groupTiles + firstInGroup
            let count = min(gemm.tileRows, groupTiles - firstInGroup, tiles - first)
            guard count > 0 else { return }
            let start = block * transforms.depthBlock
            let blockDepth = min(transforms.depthBlock, depth - start)
            let rowTile = transforms.words(blockDepth) * gemm.tileRows
            let target = transformed.pointer + group * groupSize + transformedSize(groupRows, start) + row * rowTile
            withUnsafeTemporaryAllocation(of: Int.self, capacity: count * transforms.elements) { offsets in
                for tile in 0..<count {
                    inputOffsets(first + tile, offsets.baseAddress! + tile * transforms.elements)
                }
                transforms.input(
                    x.pointer + start, offsets.baseAddress!, count, blockDepth, scratch.taps(worker), target,
                    groupRows * rowTile + Self.gap)
            }
        }
    }

    private func multiply(
        _ batch: Range<Int>, _ tiles: Int, _ groupRows: Int, _ groupSize: Int, _ transformed: Tensor, _ scratch: Scratch
    ) {
        let (gemm, groupTiles) = (engine.kernels.gemm, groupTiles)
        let panels = (columns + gemm.panelWidth - 1) / gemm.panelWidth
        let bytes = filter.byteCount + 4 * (transformed.count + out.count)
        engine.threads.forEach(panels * batch.count, bytes: bytes) { task, worker in
            let (panel, group) = (task / batch.count, task % batch.count)
            let first = (batch.lowerBound + group) * groupTiles
            let count = min(groupTiles, tiles - first)
            let (weights, products) = (scratch.weights(worker), scratch.products(worker))
            let (block, elements) = (transforms.depthBlock, transforms.elements)
            let weightStride = transforms.words(block) * gemm.panelWidth + Self.gap
            let productStride = count * gemm.panelWidth + Self.gap
            for start in stride(from: 0, to: depth, by: block) {
                let range = start..<min(depth, start + block)
                filter.winograd(
                    transforms, panel: panel, range: range, transposed: transposed, scratch: scratch.taps(worker),
                    out: weights, elementStride: weightStride)
                let rows = transformed.pointer + group * groupSize + transformedSize(groupRows, start)
                let next = filter.words(range.upperBound..<min(depth, range.upperBound + block))
                let words = transforms.words(range.count)
                for element in 0..<elements {
                    if transposed && !next.isEmpty {
                        filter.prefetch(
                            piece: element, of: elements, panel: panel, taps: 0..<9, range: next,
                            transposed: transposed)
                    }
                    transforms.multiply(
                        rows + element * (groupRows * words * gemm.tileRows + Self.gap), count, words,
                        weights + element * weightStride, products + element * productStride, start > 0, gemm)
                }
            }
            writeOutput(panel, first..<first + count, products, productStride)
        }
    }

    private func writeOutput(
        _ panel: Int, _ tiles: Range<Int>, _ products: UnsafeMutablePointer<Float>, _ productStride: Int
    ) {
        let width = engine.kernels.gemm.panelWidth
        let column = panel * width
        let pixels = transforms.outputSize * transforms.outputSize
        withUnsafeTemporaryAllocation(of: Int.self, capacity: pixels) { offsets in
            for tile in tiles {
                let sample = outputOffsets(tile, offsets.baseAddress!)
                transforms.output(
                    products + (tile - tiles.lowerBound) * width, productStride, min(width, columns - column),
                    out.pointer + column, offsets.baseAddress!, bias.map { $0 + column },
                    sampleBias.map { $0 + sample * columns + column }, residual.map { $0 + column })
            }
        }
    }

    /// Where the (m+2)² input pixels of a tile start, −1 for padding.
    private func inputOffsets(_ tile: Int, _ offsets: UnsafeMutablePointer<Int>) {
        let (height, width, points) = (x.shape[1], x.shape[2], transforms.outputSize + 2)
        let (sample, top, left) = position(tile)
        for i in 0..<points {
            for j in 0..<points {
                let (h, w) = (top + i - 1, left + j - 1)
                let inside = h >= 0 && h < height && w >= 0 && w < width
                offsets[i * points + j] = inside ? ((sample * height + h) * width + w) * depth : -1
            }
        }
    }

    /// Where the m² output pixels of a tile start, −1 outside the map. Returns the tile's sample.
    private func outputOffsets(_ tile: Int, _ offsets: UnsafeMutablePointer<Int>) -> Int {
        let (height, width, size) = (out.shape[1], out.shape[2], transforms.outputSize)
        let (sample, top, left) = position(tile)
        for i in 0..<size {
            for j in 0..<size {
                let (h, w) = (top + i, left + j)
                offsets[i * size + j] = h < height && w < width ? ((sample * height + h) * width + w) * columns : -1
            }
        }
        return sample
    }

    /// Sample and top left output pixel of a tile.
    private func position(_ tile: Int) -> (sample: Int, top: Int, left: Int) {
        let inSample = tile % (tilesHigh * tilesWide)
        return (
            tile / (tilesHigh * tilesWide), inSample / tilesWide * transforms.outputSize,
            inSample % tilesWide * transforms.outputSize
        )
    }
}
