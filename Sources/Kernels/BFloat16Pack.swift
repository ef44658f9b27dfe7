// Operands rounded to bfloat16 on their way into row tiles and panels of pairs (`BFloat16Kernels`). Shuffles move words
// and do not look into them, so that they are those of float32.
import KernelInterface

func makeBFloat16Kernels() -> BFloat16Kernels {
    #if LVO_AVX512BF16 || LVO_NEONBF16
    let isNative = true
    #else
    let isNative = false
    #endif
    #if LVO_AMX
    let (speedup, packRows): (Int, BFloat16Kernels.PackRows) = (16, tilePackRows)
    #elseif LVO_NEONBF16
    let (speedup, packRows): (Int, BFloat16Kernels.PackRows) = (4, blockPackRows)
    #else
    let (speedup, packRows): (Int, BFloat16Kernels.PackRows) = (2, bfloat16PackRows)
    #endif
    return BFloat16Kernels(
        tileRows: UInt32.rowsPerTile, depthBlock: UInt32.depthBlock, isNative: isNative, speedup: speedup,
        beginProducts: { UInt32.beginProducts() }, endProducts: { UInt32.endProducts() },
        multiply: { UInt32.multiply($0, $1, $2, $3, $4, $5, $6, $7) }, packRows: packRows,
        packPanel: bfloat16PackPanel, transposePanel: bfloat16TransposePanel, errorSquares: bfloat16ErrorSquares)
}

/// `BFloat16Kernels.packRows`.
func bfloat16PackRows(
    _ a: UnsafePointer<Float>, _ offsets: UnsafePointer<Int>, _ rows: Int, _ depth: Int,
    _ packed: UnsafeMutablePointer<UInt32>, _ tileStride: Int
) {
    let words = UnsafeMutableRawPointer(packed).assumingMemoryBound(to: Float.self)
    packRows(
        offsets, rows, (depth + 1) / 2, depth / panelWidth * lanes, words, tileStride,
        { offset, pair in
            let source = a + offset + 2 * pair
            return unsafeBitCast(neighbourPairs(source.vec(0), source.vec(lanes)), to: Vec.self)
        },
        { offset, pair in
            let high = 2 * pair + 1 < depth ? rounded(a[offset + 2 * pair + 1]) : 0
            return Float(bitPattern: rounded(a[offset + 2 * pair]) | high << 16)
        })
}

/// `BFloat16Kernels.packPanel`.
func bfloat16PackPanel(_ source: UnsafePointer<Float>, _ depth: Int, _ out: UnsafeMutablePointer<UInt32>) {
    var k = 0
    while k < depth {
        let low = source + k * panelWidth
        var column = 0
        while column < panelWidth {
            let high = k + 1 < depth ? low.vec(panelWidth + column) : Vec.zero
            (out + k / 2 * panelWidth + column).store(lanePairs(low.vec(column), high))
            column += lanes
        }
        k += 2
    }
    padPanel(UInt32.self, UnsafeMutableRawPointer(out).assumingMemoryBound(to: Float.self), depth)
}

/// `BFloat16Kernels.transposePanel`: a square of words gives rows of numbers along k, of which neighbours are zipped. They are
/// zipped from memory: from the transposition's registers each pair would be a call, around which all others are saved.
func bfloat16TransposePanel(_ source: UnsafePointer<UInt32>, _ rows: Int, _ out: UnsafeMutablePointer<UInt32>) {
    let words = UnsafeRawPointer(source).assumingMemoryBound(to: Float.self)
    var columns = InlineArray<16, Vec>(repeating: .zero)
    var first = 0
    while first < panelWidth {
        transposeSquare(
            { 2 * $0 < rows ? words.vec($0 * panelWidth + first) : Vec.zero }, { columns[$0] = $1 })
        var column = 0
        while column < lanes {
            storeZipped(columns[column], columns[column + 1], out + (first + column) / 2 * panelWidth)
            column += 2
        }
        first += lanes
    }
}

/// `BFloat16Kernels.errorSquares`.
func bfloat16ErrorSquares(_ a: UnsafePointer<Float>, _ count: Int) -> Float {
    var (left, right, i) = (Vec.zero, Vec.zero, 0)
    while i + 2 * lanes <= count {
        let (first, second) = (a.vec(i), a.vec(i + lanes))
        let (lost, more) = (first - lowHalves(rounded(first)), second - lowHalves(rounded(second)))
        left = multiplyAdd(lost, lost, left)
        right = multiplyAdd(more, more, right)
        i += 2 * lanes
    }
    var sum = horizontalSum(left + right)
    while i < count {
        let lost = a[i] - Float(bitPattern: rounded(a[i]) << 16)
        sum += lost * lost
        i += 1
    }
    return sum
}

/// Pairs of the 16-bit numbers of `low` and `high` at the same place. By operations on words: what Swift says of 32 halves
/// at a time becomes a call for each, which made gradients' weights wait (a step 1.15 times as long).
@inline(always) func storeZipped(_ low: Vec, _ high: Vec, _ out: UnsafeMutablePointer<UInt32>) {
    let (a, b) = (unsafeBitCast(low, to: PairVec.self), unsafeBitCast(high, to: PairVec.self))
    let (first, second) = (a & 0xFFFF | b &<< 16, a &>> 16 | b & 0xFFFF_0000)
    let (left, right) = zipped(unsafeBitCast(first, to: Vec.self), unsafeBitCast(second, to: Vec.self))
    out.store(unsafeBitCast(left, to: PairVec.self))
    (out + lanes).store(unsafeBitCast(right, to: PairVec.self))
}

extension UnsafeMutablePointer<UInt32> {
    /// Writes a vector of words; no alignment needed.
    @inline(always) func store(_ words: PairVec) { UnsafeMutableRawPointer(self).storeBytes(of: words, as: PairVec.self) }
}
