// The register tile for pairs of bfloat16 by BFMMLA, which adds to a 2×2 block of C two rows of A times two columns of B, four
// terms each.
//
// Its operands are the words of one row of pairs and of the next, zipped: numbers 0…3 of one row (or column), then those of its
// neighbour. Eight rows by eight columns are 16 blocks in registers; four terms of them take 8 loads, 8 zips and 16 BFMMLA (256
// multiply-adds), where the float32 tile takes 64 FMLA. Twelve rows need 24 blocks and 6 to 7 registers beside them: the
// compiler spills, and 34 instructions for 384 multiply-adds are no more than 6 % better than 24 for 256. Operands packed
// zipped would save the zips and need depths of whole fours, which a convolution's taps do not have.
#if LVO_NEONBF16
import CInstructions

/// The words of four rows or columns, as the operands of rows 0, 1 and 2, 3.
struct BlockOperands {
    let first, second: PairVec

    @inline(always) init(_ words: PairVec, _ next: PairVec) {
        var first = PairVec.zero, second = PairVec.zero
        first.evenHalf = words.lowHalf
        first.oddHalf = next.lowHalf
        second.evenHalf = words.highHalf
        second.oddHalf = next.highHalf
        (self.first, self.second) = (first, second)
    }

    /// Four words at `words`, with those `distance` further on if there is a next row.
    @inline(always) init(_ words: UnsafePointer<UInt32>, _ distance: Int, hasNext: Bool) {
        self.init(UInt32.vector(words), hasNext ? UInt32.vector(words + distance) : PairVec.zero)
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

/// `gemmMultiply` of words that are pairs: two groups of four rows at a time, which may lie in different row tiles.
@inline(always) func multiplyBlocks<Word: OperandWord>(
    _ packedA: UnsafePointer<Word>, _ rows: Int, _ pairs: Int, _ panel: UnsafePointer<Word>, _ columns: Int,
    _ c: UnsafeMutablePointer<Float>, _ cStride: Int, _ accumulate: Bool
) {
    let panel = UnsafeRawPointer(panel).assumingMemoryBound(to: UInt32.self)
    let tiles = UnsafeRawPointer(packedA).assumingMemoryBound(to: UInt32.self)
    @inline(always) func group(_ row: Int) -> UnsafePointer<UInt32> {
        tiles + row / tileRows * tileRows * pairs + row % tileRows
    }
    var row = 0
    while row < rows {
        let (remaining, target) = (rows - row, c + row * cStride)
        if remaining > 4 {
            eightRowTile(
                group(row), group(row + 4), pairs, panel, min(remaining, 8), columns, target, cStride, accumulate)
        } else {
            fourRowTile(group(row), pairs, panel, remaining, columns, target, cStride, accumulate)
        }
        row += 8
    }
}

@inline(never) func eightRowTile(
    _ top: UnsafePointer<UInt32>, _ bottom: UnsafePointer<UInt32>, _ pairs: Int, _ panel: UnsafePointer<UInt32>,
    _ rows: Int, _ columns: Int, _ c: UnsafeMutablePointer<Float>, _ stride: Int, _ accumulate: Bool
) {
    var topSums = FourRowBlocks(), bottomSums = FourRowBlocks()
    var (top, bottom, b) = (top, bottom, panel)
    @inline(always) func addTwoPairs(hasNext: Bool) {
        let left = BlockOperands(b, panelWidth, hasNext: hasNext)
        let right = BlockOperands(b + lanes, panelWidth, hasNext: hasNext)
        topSums.add(BlockOperands(top, tileRows, hasNext: hasNext), left, right)
        bottomSums.add(BlockOperands(bottom, tileRows, hasNext: hasNext), left, right)
        top += 2 * tileRows
        bottom += 2 * tileRows
        b += 2 * panelWidth
    }
    for _ in 0..<pairs / 2 { addTwoPairs(hasNext: true) }
    if pairs % 2 == 1 { addTwoPairs(hasNext: false) }
    storeFour(topSums.rows, 4, columns, c, stride, accumulate)
    storeFour(bottomSums.rows, rows - 4, columns, c + 4 * stride, stride, accumulate)
}

@inline(never) func fourRowTile(
    _ a: UnsafePointer<UInt32>, _ pairs: Int, _ panel: UnsafePointer<UInt32>, _ rows: Int, _ columns: Int,
    _ c: UnsafeMutablePointer<Float>, _ stride: Int, _ accumulate: Bool
) {
    var sums = FourRowBlocks()
    var (a, b) = (a, panel)
    @inline(always) func addTwoPairs(hasNext: Bool) {
        sums.add(
            BlockOperands(a, tileRows, hasNext: hasNext), BlockOperands(b, panelWidth, hasNext: hasNext),
            BlockOperands(b + lanes, panelWidth, hasNext: hasNext))
        a += 2 * tileRows
        b += 2 * panelWidth
    }
    for _ in 0..<pairs / 2 { addTwoPairs(hasNext: true) }
    if pairs % 2 == 1 { addTwoPairs(hasNext: false) }
    storeFour(sums.rows, rows, columns, c, stride, accumulate)
}
#endif
