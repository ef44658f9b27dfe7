// Row tiles of pairs of bfloat16 for BFMMLA, `[two pairs][12 rows][2 pairs]`: half a vector of a row at a time, so that
// packing rows rounds them and transposes nothing.
#if LVO_NEONBF16
/// `BFloat16Kernels.packRows`.
func blockPackRows(
    _ a: UnsafePointer<Float>, _ offsets: UnsafePointer<Int>, _ rows: Int, _ depth: Int,
    _ packed: UnsafeMutablePointer<UInt32>, _ tileStride: Int
) {
    for row in 0..<UInt32.tiled(rows) {
        let offset = row < rows ? offsets[row] : -1
        packBlockRow(
            offset >= 0 ? a + offset : nil, depth, 1, packed + row / tileRows * tileStride + row % tileRows * 2)
    }
}

/// One row's words, two to every block of a tile; zeros if there is no such row.
@inline(always) private func packBlockRow(
    _ row: UnsafePointer<Float>?, _ depth: Int, _ factor: Float, _ target: UnsafeMutablePointer<UInt32>
) {
    let words = UInt32.words(depth)
    var word = 0
    while word < words {
        let pairs = row.map { UInt32.row($0, word, depth, factor) } ?? Vec.zero
        let block = UnsafeMutableRawPointer(target + word * tileRows)
        block.storeBytes(of: pairs.lowHalf, as: SIMD2<Float>.self)
        if word + 2 < words {
            (block + 8 * tileRows).storeBytes(of: pairs.highHalf, as: SIMD2<Float>.self)
        }
        word += lanes
    }
}

/// `packTokenTiles` in pairs.
func blockPackTokens(
    _ rows: UnsafePointer<Float>, _ stride: Int, _ count: Int, _ width: Int, _ factor: Float,
    _ packed: UnsafeMutablePointer<Float>
) {
    let tiles = UnsafeMutableRawPointer(packed).assumingMemoryBound(to: UInt32.self)
    for token in 0..<UInt32.tiled(count) {
        let target = tiles + token / tileRows * tileRows * UInt32.words(width) + token % tileRows * 2
        packBlockRow(token < count ? rows + token * stride : nil, width, factor, target)
    }
}

/// `packChannelTiles` in pairs: four channels of four tokens at a time. Tile rows beyond the width are left as they are: the
/// product computes and drops them.
func blockPackChannels(
    _ rows: UnsafePointer<Float>, _ stride: Int, _ count: Int, _ width: Int, _ factor: Float,
    _ packed: UnsafeMutablePointer<Float>
) {
    @inline(always) func channels(_ token: Int, _ channel: Int) -> Vec {
        token < count ? rowChannels(rows + token * stride, channel, width) * factor : Vec.zero
    }
    let words = UInt32.words(count)
    var channel = 0
    while channel < width {
        let tile = packed + channel / tileRows * tileRows * words + channel % tileRows * 2
        for block in 0..<words / 2 {
            let token = 4 * block
            let pairs = lanePairs(channels(token, channel), channels(token + 1, channel))
            let next = lanePairs(channels(token + 2, channel), channels(token + 3, channel))
            let operands = BlockOperands(pairs, next)
            tile.store(unsafeBitCast(operands.first, to: Vec.self), block * 2 * tileRows)
            tile.store(unsafeBitCast(operands.second, to: Vec.self), block * 2 * tileRows + lanes)
        }
        channel += lanes
    }
}
#endif
