import KernelInterface

/// What a Winograd convolution computes with: float32 numbers, or integers of 16 bits in pairs where the engine rounds
/// products' operands. Rows of packed operands are counted in words of four bytes.
enum WinogradTransforms {
    case float32(WinogradKernels)
    case integers(IntegerWinogradKernels)

    var outputSize: Int {
        switch self {
        case .float32(let kernels): kernels.outputSize
        case .integers: IntegerWinogradKernels.outputSize
        }
    }

    var elements: Int { (outputSize + 2) * (outputSize + 2) }

    /// Channels that are transformed, multiplied and forgotten together: as much weight as the second-level cache holds
    /// beside the products.
    var depthBlock: Int {
        switch self {
        case .float32: 64
        case .integers: 128
        }
    }

    /// Tiles whose products take the time of transforming a filter.
    var filterTiles: Int {
        switch self {
        case .float32: 2
        case .integers: 8
        }
    }

    /// Rows of words for `depth` channels, taken in blocks of `depthBlock` and what remains: integers have a row of scales
    /// for each.
    func words(_ depth: Int) -> Int {
        switch self {
        case .float32: depth
        case .integers:
            depth / depthBlock * IntegerWinogradKernels.words(depthBlock)
                + (depth % depthBlock == 0 ? 0 : IntegerWinogradKernels.words(depth % depthBlock))
        }
    }

    /// Floats of `input`'s scratch.
    func inputScratch(_ kernels: KernelTable) -> Int {
        switch self {
        case .float32: (kernels.gemm.tileRows + 1) * elements * kernels.lanes
        case .integers:
            IntegerWinogradKernels.inputScratch(
                depth: depthBlock, tileRows: kernels.gemm.tileRows, lanes: kernels.lanes)
        }
    }

    /// `WinogradKernels.input` or `IntegerWinogradKernels.input`.
    func input(
        _ x: UnsafePointer<Float>, _ offsets: UnsafePointer<Int>, _ tiles: Int, _ depth: Int,
        _ scratch: UnsafeMutablePointer<Float>, _ out: UnsafeMutablePointer<Float>, _ elementStride: Int
    ) {
        switch self {
        case .float32(let kernels): kernels.input(x, offsets, tiles, depth, scratch, out, elementStride)
        case .integers(let kernels): kernels.input(x, offsets, tiles, depth, scratch, out.words, elementStride)
        }
    }

    /// The product of packed rows and a panel, dense.
    func multiply(
        _ rows: UnsafePointer<Float>, _ count: Int, _ words: Int, _ panel: UnsafePointer<Float>,
        _ products: UnsafeMutablePointer<Float>, _ accumulate: Bool, _ gemm: GemmKernels
    ) {
        let width = gemm.panelWidth
        switch self {
        case .float32: gemm.multiply(rows, count, words, panel, width, products, width, accumulate)
        case .integers(let kernels):
            kernels.multiply(rows.words, count, words, panel.words, products, width, accumulate)
        }
    }

    var output: WinogradKernels.Output {
        switch self {
        case .float32(let kernels): kernels.output
        case .integers(let kernels): kernels.output
        }
    }
}
