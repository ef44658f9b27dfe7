// Products of pairs of bfloat16 on AMX tiles: registers of 16 rows of 64 bytes. TDPBF16PS multiplies 16 rows of 16 pairs
// by 16 pairs of 16 columns and adds to 16 × 16 sums.
//
// 32 rows × 32 columns of C are four tiles of sums (0…3), two of A (4, 5) and two of B (6, 7): all eight. Four chains of
// sums are what hides the instruction's latency (52 cycles, one begins every 16), and each tile that is loaded is used
// twice, 8 cycles of loading for 16 of multiplying. A panel's rows are B's tiles as they lie; a row tile is
// `[block of 16 pairs][32 rows][16 pairs]`, whose blocks are A's.
//
// This has not run on a CPU with AMX yet: `TileModel.swift` computes what the instructions are documented to compute.
#if LVO_AMX
#if !LVO_AMX_MODEL
import CInstructions
#endif

/// Bytes between the rows of a tile in a row tile, and in a panel or sums.
@inline(always) private var rowStride: Int { 4 * lanes }
@inline(always) private var panelStride: Int { 4 * panelWidth }

/// `BFloat16Kernels.multiply`.
func tileMultiply(
    _ packedA: UnsafePointer<UInt32>, _ rows: Int, _ pairs: Int, _ panel: UnsafePointer<UInt32>, _ columns: Int,
    _ c: UnsafeMutablePointer<Float>, _ cStride: Int, _ accumulate: Bool
) {
    var row = 0
    while row < rows {
        let (a, target) = (packedA + row * pairs, c + row * cStride)
        let count = min(2 * lanes, rows - row)
        if count % lanes == 0 && columns == panelWidth {
            tileProduct(a, count, pairs, panel, target, 4 * cStride, accumulate)
        } else {
            tileProductInPart(a, count, pairs, panel, columns, target, cStride, accumulate)
        }
        row += 2 * lanes
    }
}

/// Sums of at most 16 rows, or of all 32, in the order of the blocks: from those in C if it accumulates, else from 0.
@inline(always) private func tileProduct(
    _ a: UnsafePointer<UInt32>, _ rows: Int, _ pairs: Int, _ panel: UnsafePointer<UInt32>,
    _ c: UnsafeMutablePointer<Float>, _ stride: Int, _ accumulate: Bool
) {
    if rows > lanes {
        fourTiles(a, pairs, panel, c, UnsafeMutableRawPointer(c) + lanes * stride, stride, accumulate)
    } else {
        twoTiles(a, pairs, panel, c, stride, accumulate)
    }
}

/// The sums of 32 rows; `lower` is the seventeenth of them.
@inline(never) private func fourTiles(
    _ a: UnsafePointer<UInt32>, _ pairs: Int, _ panel: UnsafePointer<UInt32>, _ c: UnsafeMutablePointer<Float>,
    _ lower: UnsafeMutableRawPointer, _ stride: Int, _ accumulate: Bool
) {
    if accumulate {
        tile_load_0(c, stride)
        tile_load_1(c + lanes, stride)
        tile_load_2(lower, stride)
        tile_load_3(lower + rowStride, stride)
    } else {
        tile_zero_0()
        tile_zero_1()
        tile_zero_2()
        tile_zero_3()
    }
    var (a, b) = (a, panel)
    for _ in 0..<pairs / lanes {
        tile_load_6(b, panelStride)
        tile_load_4(a, rowStride)
        tile_dot_0_4_6()
        tile_load_7(b + lanes, panelStride)
        tile_dot_1_4_7()
        tile_load_5(a + lanes * lanes, rowStride)
        tile_dot_2_5_6()
        tile_dot_3_5_7()
        a += 2 * lanes * lanes
        b += lanes * panelWidth
    }
    tile_store_0(c, stride)
    tile_store_1(c + lanes, stride)
    tile_store_2(lower, stride)
    tile_store_3(lower + rowStride, stride)
}

/// The sums of the first 16 rows.
@inline(never) private func twoTiles(
    _ a: UnsafePointer<UInt32>, _ pairs: Int, _ panel: UnsafePointer<UInt32>, _ c: UnsafeMutablePointer<Float>,
    _ stride: Int, _ accumulate: Bool
) {
    if accumulate {
        tile_load_0(c, stride)
        tile_load_1(c + lanes, stride)
    } else {
        tile_zero_0()
        tile_zero_1()
    }
    var (a, b) = (a, panel)
    for _ in 0..<pairs / lanes {
        tile_load_6(b, panelStride)
        tile_load_4(a, rowStride)
        tile_dot_0_4_6()
        tile_load_7(b + lanes, panelStride)
        tile_dot_1_4_7()
        a += 2 * lanes * lanes
        b += lanes * panelWidth
    }
    tile_store_0(c, stride)
    tile_store_1(c + lanes, stride)
}

/// A part of a tile by way of a whole one on the stack, so that nothing beyond the part is read or written. What C holds
/// is brought there first: every sum has the bits that it would have in a whole tile.
@inline(never) private func tileProductInPart(
    _ a: UnsafePointer<UInt32>, _ rows: Int, _ pairs: Int, _ panel: UnsafePointer<UInt32>, _ columns: Int,
    _ c: UnsafeMutablePointer<Float>, _ cStride: Int, _ accumulate: Bool
) {
    withUnsafeTemporaryAllocation(byteCount: 2 * lanes * panelStride, alignment: 64) { memory in
        let whole = memory.baseAddress!.assumingMemoryBound(to: Float.self)
        if accumulate {
            whole.update(repeating: 0, count: 2 * lanes * panelWidth)
            for row in 0..<rows { copyRow(c + row * cStride, columns, whole + row * panelWidth) }
        }
        tileProduct(a, rows, pairs, panel, whole, panelStride, accumulate)
        for row in 0..<rows { copyRow(whole + row * panelWidth, columns, c + row * cStride) }
    }
}

@inline(always) private func copyRow(
    _ source: UnsafePointer<Float>, _ columns: Int, _ target: UnsafeMutablePointer<Float>
) {
    target.store(source.vec(0, columns), 0, columns)
    if columns > lanes { target.store(source.vec(lanes, columns - lanes), lanes, columns - lanes) }
}
#endif
