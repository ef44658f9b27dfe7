// The register tile for pairs of bfloat16 by BFMMLA, which adds to a 2×2 block of C two rows of A times two columns of B, four
// terms each.
//
// Row tiles are `[two pairs][12 rows][2 pairs]`: a vector is two rows of an operand. Panels hold one row of pairs after the
// other, and those of two rows are zipped. Twelve rows by eight columns are 24 blocks in registers; four terms of them take 10
// loads, 4 zips and 24 BFMMLA (384 multiply-adds), where the float32 tile takes 96 FMLA. Zipping the rows too, from tiles as
// float32's, takes 6 instructions more and more registers than there are.
#if LVO_NEONBF16
import CInstructions

extension UInt32 {
    @inline(always) static var depthBlock: Int { 2 }
    @inline(always) static func multiply(
        _ packedA: UnsafePointer<UInt32>, _ rows: Int, _ depth: Int, _ panel: UnsafePointer<UInt32>, _ columns: Int,
        _ c: UnsafeMutablePointer<Float>, _ cStride: Int, _ accumulate: Bool
    ) {
        blockMultiply(packedA, rows, depth, panel, columns, c, cStride, accumulate)
    }
}

/// Two operands: numbers 0…3 of row (or column) 0, then of row 1; those of rows 2 and 3.
struct BlockOperands {
    let first, second: PairVec

    /// Four rows of a tile.
    @inline(always) init(rows: UnsafePointer<UInt32>) {
        (first, second) = (UInt32.vector(rows), UInt32.vector(rows + lanes))
    }

    /// Four columns of a row of pairs and of the next.
    @inline(always) init(_ words: PairVec, _ next: PairVec) {
        var first = PairVec.zero, second = PairVec.zero
        first.evenHalf = words.lowHalf
        first.oddHalf = next.lowHalf
        second.evenHalf = words.highHalf
        second.oddHalf = next.highHalf
        (self.first, self.second) = (first, second)
    }

    /// Four columns of a panel.
    @inline(always) init(columns: UnsafePointer<UInt32>) {
        self.init(UInt32.vector(columns), UInt32.vector(columns + panelWidth))
    }
}

/// Sums of four rows and eight columns: blocks of the rows 0, 1 and of the rows 2, 3 from left to right.
struct FourRowBlocks {
    var a0 = Vec.zero, a1 = Vec.zero, a2 = Vec.zero, a3 = Vec.zero
    var b0 = Vec.zero, b1 = Vec.zero, b2 = Vec.zero, b3 = Vec.zero

    @inline(always) mutating func add(_ rows: BlockOperands, _ left: BlockOperands, _ right: BlockOperands) {
        a0 = add_bfloat16_blocks(a0, rows.first, left.first)
        a1 = add_bfloat16_blocks(a1, rows.first, left.second)
        a2 = add_bfloat16_blocks(a2, rows.first, right.first)
        a3 = add_bfloat16_blocks(a3, rows.first, right.second)
        b0 = add_bfloat16_blocks(b0, rows.second, left.first)
        b1 = add_bfloat16_blocks(b1, rows.second, left.second)
        b2 = add_bfloat16_blocks(b2, rows.second, right.first)
        b3 = add_bfloat16_blocks(b3, rows.second, right.second)
    }

    /// Row by row.
    @inline(always) var rows: FourRows {
        FourRows(
            a0: Vec(lowHalf: a0.lowHalf, highHalf: a1.lowHalf), b0: Vec(lowHalf: a2.lowHalf, highHalf: a3.lowHalf),
            a1: Vec(lowHalf: a0.highHalf, highHalf: a1.highHalf), b1: Vec(lowHalf: a2.highHalf, highHalf: a3.highHalf),
            a2: Vec(lowHalf: b0.lowHalf, highHalf: b1.lowHalf), b2: Vec(lowHalf: b2.lowHalf, highHalf: b3.lowHalf),
            a3: Vec(lowHalf: b0.highHalf, highHalf: b1.highHalf), b3: Vec(lowHalf: b2.highHalf, highHalf: b3.highHalf))
    }
}

/// `BFloat16Kernels.multiply`.
func blockMultiply(
    _ packedA: UnsafePointer<UInt32>, _ rows: Int, _ pairs: Int, _ panel: UnsafePointer<UInt32>, _ columns: Int,
    _ c: UnsafeMutablePointer<Float>, _ cStride: Int, _ accumulate: Bool
) {
    var row = 0
    while row < rows {
        let (a, remaining, target) = (packedA + row * pairs, rows - row, c + row * cStride)
        if remaining > 4 {
            twelveRowTile(a, pairs, panel, min(remaining, tileRows), columns, target, cStride, accumulate)
        } else {
            fourRowTile(a, pairs, panel, remaining, columns, target, cStride, accumulate)
        }
        row += tileRows
    }
}

@inline(never) func twelveRowTile(
    _ a: UnsafePointer<UInt32>, _ pairs: Int, _ panel: UnsafePointer<UInt32>, _ rows: Int, _ columns: Int,
    _ c: UnsafeMutablePointer<Float>, _ stride: Int, _ accumulate: Bool
) {
    var top = FourRowBlocks(), middle = FourRowBlocks(), bottom = FourRowBlocks()
    var (a, b) = (a, panel)
    for _ in 0..<pairs / 2 {
        let (left, right) = (BlockOperands(columns: b), BlockOperands(columns: b + lanes))
        top.add(BlockOperands(rows: a), left, right)
        middle.add(BlockOperands(rows: a + 8), left, right)
        bottom.add(BlockOperands(rows: a + 16), left, right)
        a += 2 * tileRows
        b += 2 * panelWidth
    }
    storeTwelve(top.rows, middle.rows, bottom.rows, rows, columns, c, stride, accumulate)
}

@inline(never) func fourRowTile(
    _ a: UnsafePointer<UInt32>, _ pairs: Int, _ panel: UnsafePointer<UInt32>, _ rows: Int, _ columns: Int,
    _ c: UnsafeMutablePointer<Float>, _ stride: Int, _ accumulate: Bool
) {
    var sums = FourRowBlocks()
    var (a, b) = (a, panel)
    for _ in 0..<pairs / 2 {
        sums.add(BlockOperands(rows: a), BlockOperands(columns: b), BlockOperands(columns: b + lanes))
        a += 2 * tileRows
        b += 2 * panelWidth
    }
    storeFour(sums.rows, rows, columns, c, stride, accumulate)
}
#endif
