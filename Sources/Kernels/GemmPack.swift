/// `GemmKernels.packRows`.
func gemmPackRows(
    _ a: UnsafePointer<Float>, _ offsets: UnsafePointer<Int>, _ rows: Int, _ depth: Int,
    _ packed: UnsafeMutablePointer<Float>, _ tileStride: Int
) {
    packRows(
        offsets, rows, depth, depth / lanes * lanes, packed, tileStride, { (a + $0).vec($1) }, { a[$0 + $1] })
}

/// Packs rows of `words` words into tiles. The first `vectors` words (whole vectors) go through register transposes, the
/// rest one by one.
@inline(__always) func packRows(
    _ offsets: UnsafePointer<Int>, _ rows: Int, _ words: Int, _ vectors: Int, _ packed: UnsafeMutablePointer<Float>,
    _ tileStride: Int, _ vector: (_ offset: Int, _ word: Int) -> Vec, _ word: (_ offset: Int, _ word: Int) -> Float
) {
    var row = 0
    while row < rows {
        let target = packed + row / tileRows * tileStride
        let valid = min(tileRows, rows - row)
        var first = 0
        while first < tileRows {
            packGroup(offsets + row + first, max(0, valid - first), vectors, target + first, tileRows - first, vector)
            first += lanes
        }
        packColumns(offsets + row, valid, vectors, words, target, word)
        row += tileRows
    }
}

/// Words `0..<words` (a multiple of lanes) of one group of rows: `valid` real ones, zeros up to `width`.
@inline(__always) func packGroup(
    _ offsets: UnsafePointer<Int>, _ valid: Int, _ words: Int, _ target: UnsafeMutablePointer<Float>, _ width: Int,
    _ vector: (_ offset: Int, _ word: Int) -> Vec
) {
    var k = 0
    while k < words {
        transposeSquare(
            { row in row < valid && offsets[row] >= 0 ? vector(offsets[row], k) : Vec.zero },
            { column, values in storePrefix(values, target + (k + column) * tileRows, width) })
        k += lanes
    }
}

/// The first `width` lanes, where `width` is what a tile leaves for a group: at least a vector, 3/4 of one (12 of 16,
/// 6 of 8) or half of one (6 = 4 + 2).
@inline(__always) func storePrefix(_ values: Vec, _ target: UnsafeMutablePointer<Float>, _ width: Int) {
    if width >= lanes {
        target.store(values, 0)
        return
    }
    let raw = UnsafeMutableRawPointer(target)
    let half = lanes / 2
    raw.storeBytes(of: values.lowHalf, as: type(of: values.lowHalf))
    #if LVO_AVX2 || LVO_AVX512
    if width > half {
        let rest = values.highHalf.lowHalf
        (raw + half * 4).storeBytes(of: rest, as: type(of: rest))
    }
    #endif
}

@inline(__always) func packColumns(
    _ offsets: UnsafePointer<Int>, _ valid: Int, _ from: Int, _ to: Int, _ target: UnsafeMutablePointer<Float>,
    _ word: (_ offset: Int, _ word: Int) -> Float
) {
    for row in 0..<tileRows {
        let offset = row < valid ? offsets[row] : -1
        var k = from
        while k < to {
            target[k * tileRows + row] = offset >= 0 ? word(offset, k) : 0
            k += 1
        }
    }
}
