// The register tile of pairs of 16-bit integers: sums in 32 bits, exact, scaled on their way to memory.

#if LVO_AVX512BF16
import CInstructions
#endif

/// Sums of four rows, two vectors each.
private struct FourIntegerRows {
    var a0 = IntVec.zero, b0 = IntVec.zero
    var a1 = IntVec.zero, b1 = IntVec.zero
    var a2 = IntVec.zero, b2 = IntVec.zero
    var a3 = IntVec.zero, b3 = IntVec.zero

    @inline(always) mutating func add(_ a: UnsafePointer<UInt32>, _ left: PairVec, _ right: PairVec) {
        let (r0, r1, r2, r3) = UInt32.fourRepeated(a)
        a0 = pairProduct(r0, left, a0)
        b0 = pairProduct(r0, right, b0)
        a1 = pairProduct(r1, left, a1)
        b1 = pairProduct(r1, right, b1)
        a2 = pairProduct(r2, left, a2)
        b2 = pairProduct(r2, right, b2)
        a3 = pairProduct(r3, left, a3)
        b3 = pairProduct(r3, right, b3)
    }

    /// Writes the first `rows` rows.
    @inline(always) func store(
        _ rows: Int, _ scales: UnsafePointer<Float>, _ left: Vec, _ right: Vec, _ c: UnsafeMutablePointer<Float>,
        _ stride: Int, _ accumulate: Bool
    ) {
        if rows > 0 { storeIntegers(a0, b0, scales[0], left, right, c, accumulate) }
        if rows > 1 { storeIntegers(a1, b1, scales[1], left, right, c + stride, accumulate) }
        if rows > 2 { storeIntegers(a2, b2, scales[2], left, right, c + 2 * stride, accumulate) }
        if rows > 3 { storeIntegers(a3, b3, scales[3], left, right, c + 3 * stride, accumulate) }
    }
}

@inline(always) private func storeIntegers(
    _ a: IntVec, _ b: IntVec, _ scale: Float, _ left: Vec, _ right: Vec, _ c: UnsafeMutablePointer<Float>,
    _ accumulate: Bool
) {
    storeRow(numbers(a) * (left * scale), numbers(b) * (right * scale), c, accumulate)
}

/// Lane by lane: `Vec(_: IntVec)` is a call for each vector.
@inline(always) private func numbers(_ integers: IntVec) -> Vec {
    var result = Vec.zero
    for lane in 0..<lanes { result[lane] = Float(integers[lane]) }
    return result
}

/// `IntegerWinogradKernels.multiply`.
func integerMultiply(
    _ packedA: UnsafePointer<UInt32>, _ rows: Int, _ words: Int, _ panel: UnsafePointer<UInt32>,
    _ c: UnsafeMutablePointer<Float>, _ cStride: Int, _ accumulate: Bool
) {
    var row = 0
    while row < rows {
        let (a, target, inTile) = (packedA + row * words, c + row * cStride, min(rows - row, tileRows))
        if tileRows == 12 && inTile > 4 {
            twelveRows(a, words - 1, panel, inTile, target, cStride, accumulate)
        } else {
            for first in stride(from: 0, to: inTile, by: 4) {
                fourRows(a + first, words - 1, panel, inTile - first, target + first * cStride, cStride, accumulate)
            }
        }
        row += tileRows
    }
}

@inline(never) private func twelveRows(
    _ a: UnsafePointer<UInt32>, _ pairs: Int, _ panel: UnsafePointer<UInt32>, _ rows: Int,
    _ c: UnsafeMutablePointer<Float>, _ stride: Int, _ accumulate: Bool
) {
    var top = FourIntegerRows(), middle = FourIntegerRows(), bottom = FourIntegerRows()
    var (a, b) = (a, panel)
    for _ in 0..<pairs {
        let (left, right) = (UInt32.vector(b), UInt32.vector(b + lanes))
        top.add(a, left, right)
        middle.add(a + 4, left, right)
        bottom.add(a + 8, left, right)
        a += tileRows
        b += panelWidth
    }
    let (scales, left, right) = (floats(a), floats(b).vec(0), floats(b).vec(lanes))
    top.store(4, scales, left, right, c, stride, accumulate)
    middle.store(rows - 4, scales + 4, left, right, c + 4 * stride, stride, accumulate)
    bottom.store(rows - 8, scales + 8, left, right, c + 8 * stride, stride, accumulate)
}

/// Four rows of a row tile, of which `rows` are written. The last ones of a tile of six are two: what lies behind those in
/// memory (words of the next pair, or scales) is multiplied and not written, but never read beyond the tile.
@inline(never) private func fourRows(
    _ a: UnsafePointer<UInt32>, _ pairs: Int, _ panel: UnsafePointer<UInt32>, _ rows: Int,
    _ c: UnsafeMutablePointer<Float>, _ stride: Int, _ accumulate: Bool
) {
    var sums = FourIntegerRows()
    var (a, b) = (a, panel)
    for _ in 0..<pairs {
        sums.add(a, UInt32.vector(b), UInt32.vector(b + lanes))
        a += tileRows
        b += panelWidth
    }
    sums.store(rows, floats(a), floats(b).vec(0), floats(b).vec(lanes), c, stride, accumulate)
}

@inline(always) private func floats(_ words: UnsafePointer<UInt32>) -> UnsafePointer<Float> {
    UnsafeRawPointer(words).assumingMemoryBound(to: Float.self)
}

/// c + both products of each lane.
@inline(always) private func pairProduct(_ a: PairVec, _ b: PairVec, _ c: IntVec) -> IntVec {
    #if LVO_AVX512BF16
    dot_int16_pairs(c, a, b)
    #else
    let (x, y) = (unsafeBitCast(a, to: IntVec.self), unsafeBitCast(b, to: IntVec.self))
    let (lowX, lowY) = ((x &<< 16) &>> 16, (y &<< 16) &>> 16)
    return c &+ (x &>> 16) &* (y &>> 16) &+ lowX &* lowY
    #endif
}
