// Row tiles of pairs of bfloat16 for AMX, `[block of 16 pairs][32 rows][16 pairs]`: a row's numbers stay side by side, so
// that packing rows rounds them and transposes nothing.
#if LVO_AMX
#if !LVO_AMX_MODEL
import CInstructions
#endif

/// Pairs are multiplied on tiles. Configuring them takes the CPU some hundred cycles, as long as a dozen products of tiles,
/// so it is done once for a task or a call of an attention kernel. Afterwards they are released: a thread with tiles in use
/// has 8 kB more to save at every switch and keeps its core from sleeping deeply.
extension UInt32 {
    @inline(always) static var rowsPerTile: Int { 2 * lanes }
    @inline(always) static var depthBlock: Int { lanes }
    @inline(always) static func beginProducts() { tile_configure() }
    @inline(always) static func endProducts() { tile_release() }
    @inline(always) static func multiply(
        _ packedA: UnsafePointer<UInt32>, _ rows: Int, _ depth: Int, _ panel: UnsafePointer<UInt32>, _ columns: Int,
        _ c: UnsafeMutablePointer<Float>, _ cStride: Int, _ accumulate: Bool
    ) {
        tileMultiply(packedA, rows, depth, panel, columns, c, cStride, accumulate)
    }
}

/// Words of one block of a row tile.
@inline(always) private var blockWords: Int { 2 * lanes * lanes }

/// `BFloat16Kernels.packRows`.
func tilePackRows(
    _ a: UnsafePointer<Float>, _ offsets: UnsafePointer<Int>, _ rows: Int, _ depth: Int,
    _ packed: UnsafeMutablePointer<UInt32>, _ tileStride: Int
) {
    var tile = packed
    var row = 0
    while row < rows {
        for i in 0..<2 * lanes {
            let offset = row + i < rows ? offsets[row + i] : -1
            packTileRow(offset >= 0 ? a + offset : nil, depth, 1, tile + i * lanes)
        }
        tile += tileStride
        row += 2 * lanes
    }
}

/// One row's blocks; zeros if there is no such row.
@inline(always) private func packTileRow(
    _ row: UnsafePointer<Float>?, _ depth: Int, _ factor: Float, _ target: UnsafeMutablePointer<UInt32>
) {
    let words = UnsafeMutableRawPointer(target).assumingMemoryBound(to: Float.self)
    for block in 0..<UInt32.words(depth) / lanes {
        let pairs = row.map { UInt32.row($0, block * lanes, depth, factor) } ?? Vec.zero
        words.store(pairs, block * blockWords)
    }
}

/// `packTokenTiles` in pairs.
func tilePackTokens(
    _ rows: UnsafePointer<Float>, _ stride: Int, _ count: Int, _ width: Int, _ factor: Float,
    _ packed: UnsafeMutablePointer<Float>
) {
    let words = UnsafeMutableRawPointer(packed).assumingMemoryBound(to: UInt32.self)
    for token in 0..<UInt32.tiled(count) {
        let (tile, row) = (token / (2 * lanes), token % (2 * lanes))
        let target = words + tile * 2 * lanes * UInt32.words(width) + row * lanes
        packTileRow(token < count ? rows + token * stride : nil, width, factor, target)
    }
}

/// `packChannelTiles` in pairs: squares of 16 channels × 16 pairs of tokens, transposed. Halves of a tile that lie beyond
/// the width are left as they are: `tileMultiply` does not read them.
func tilePackChannels(
    _ rows: UnsafePointer<Float>, _ stride: Int, _ count: Int, _ width: Int, _ factor: Float,
    _ packed: UnsafeMutablePointer<Float>
) {
    @inline(always) func channels(_ token: Int, _ channel: Int) -> Vec {
        token < count ? rowChannels(rows + token * stride, channel, width) * factor : Vec.zero
    }
    let pairs = UInt32.words(count)
    var channel = 0
    while channel < width {
        let tile = packed + channel / (2 * lanes) * 2 * lanes * pairs + channel % (2 * lanes) * lanes
        for block in 0..<pairs / lanes {
            let first = 2 * block * lanes
            transposeSquare(
                { UInt32.joined(channels(first + 2 * $0, channel), channels(first + 2 * $0 + 1, channel)) },
                { tile.store($1, block * blockWords + $0 * lanes) })
        }
        channel += lanes
    }
}
#endif
