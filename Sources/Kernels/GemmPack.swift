/// `GemmKernels.packRows`. Full groups of columns go through register transposes, the rest one by one.
func gemmPackRows(
    _ a: UnsafePointer<Float>, _ offsets: UnsafePointer<Int>, _ rows: Int, _ depth: Int,
    _ packed: UnsafeMutablePointer<Float>, _ tileStride: Int
) {
    let vectors = depth / lanes * lanes
    var row = 0
    while row < rows {
        let target = packed + row / tileRows * tileStride
        let valid = min(tileRows, rows - row)
        var first = 0
        while first < tileRows {
            packGroup(a, offsets + row + first, max(0, valid - first), vectors, target + first, tileRows - first)
            first += lanes
        }
        packColumns(a, offsets + row, valid, vectors, depth, target)
        row += tileRows
    }
}

/// Columns `0..<depth` (a multiple of lanes) of one group of rows: `valid` real ones, zeros up to `width`.
@inline(__always) func packGroup(
    _ a: UnsafePointer<Float>, _ offsets: UnsafePointer<Int>, _ valid: Int, _ depth: Int,
    _ target: UnsafeMutablePointer<Float>, _ width: Int
) {
    var k = 0
    while k < depth {
        transposeSquare(
            { row in row < valid && offsets[row] >= 0 ? (a + offsets[row]).vec(k) : Vec.zero },
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
    _ a: UnsafePointer<Float>, _ offsets: UnsafePointer<Int>, _ valid: Int, _ from: Int, _ to: Int,
    _ target: UnsafeMutablePointer<Float>
) {
    for row in 0..<tileRows {
        let offset = row < valid ? offsets[row] : -1
        var k = from
        while k < to {
            target[k * tileRows + row] = offset >= 0 ? a[offset + k] : 0
            k += 1
        }
    }
}
