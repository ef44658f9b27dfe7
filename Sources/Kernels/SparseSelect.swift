// Which activations of a tile are large enough. A tile is read right after the product wrote it, from the first cache;
// next to the product's 2·depth operations per element the few here are nothing, so the [tokens × latents] matrix
// never leaves the cache and the selection is not worth cleverness beyond skipping vectors without a hit.

@inline(__always) func maskBits(_ mask: SIMDMask<IntVec>) -> IntVec { unsafeBitCast(mask, to: IntVec.self) }

/// Whether any lane of a mask's bits is set.
@inline(__always) func anySet(_ mask: IntVec) -> Bool {
    #if LVO_AVX512
    let half = mask.lowHalf | mask.highHalf
    let quarter = half.lowHalf | half.highHalf
    #elseif LVO_AVX2
    let quarter = mask.lowHalf | mask.highHalf
    #else
    let quarter = mask
    #endif
    let pair = quarter.lowHalf | quarter.highHalf
    return (pair.x | pair.y) != 0
}

@inline(__always) func sparseKey(_ value: Float, _ index: UInt32) -> UInt64 {
    UInt64(value.bitPattern) << 32 | UInt64(~index)
}

/// `SparseKernels.select`.
func sparseSelect(
    _ tile: UnsafePointer<Float>, _ rows: Int, _ bias: UnsafePointer<Float>, _ ids: UnsafePointer<UInt32>,
    _ columns: Int, _ firstIndex: UInt32, _ indexStride: UInt32, _ bound: UInt64, _ keys: UnsafeMutablePointer<UInt64>
) -> Int {
    let threshold = Float(bitPattern: UInt32(bound >> 32))
    let limit = Vec(repeating: threshold)
    let boundIndex = ~UInt32(truncatingIfNeeded: bound)
    let (biasLeft, biasRight) = (bias.vec(0), bias.vec(lanes))
    var count = 0
    for row in 0..<rows {
        let start = firstIndex &+ UInt32(truncatingIfNeeded: row) &* indexStride
        let source = tile + row * panelWidth
        let left = pointwiseMax(source.vec(0) + biasLeft, Vec.zero)
        let right = pointwiseMax(source.vec(lanes) + biasRight, Vec.zero)
        // An equal value with a higher index than the bound's loses; ids ascend, so the first one decides for the row.
        let tiesLose = start &+ ids[0] > boundIndex
        let hits =
            tiesLose
            ? maskBits(left .> limit) | maskBits(right .> limit) : maskBits(left .>= limit) | maskBits(right .>= limit)
        guard anySet(hits) else { continue }
        for column in 0..<columns {
            let value = column < lanes ? left[column] : right[column - lanes]
            guard value >= threshold else { continue }
            let candidate = sparseKey(value, start &+ ids[column])
            if candidate > bound {
                keys[count] = candidate
                count += 1
            }
        }
    }
    return count
}

/// `SparseKernels.selectAbove`.
func sparseSelectAbove(
    _ tile: UnsafePointer<Float>, _ rows: Int, _ bias: UnsafePointer<Float>, _ gate: UnsafePointer<Float>,
    _ ids: UnsafePointer<UInt32>, _ columns: Int, _ firstIndex: UInt32, _ indexStride: UInt32,
    _ keys: UnsafeMutablePointer<UInt64>
) -> Int {
    var count = 0
    for row in 0..<rows {
        let start = firstIndex &+ UInt32(truncatingIfNeeded: row) &* indexStride
        for column in 0..<columns {
            let value = tile[row * panelWidth + column] + bias[column]
            if value > 0 && value > gate[column] {
                keys[count] = sparseKey(value, start &+ ids[column])
                count += 1
            }
        }
    }
    return count
}

/// `SparseKernels.countPositive`.
func sparseCountPositive(_ tile: UnsafePointer<Float>, _ rows: Int, _ bias: UnsafePointer<Float>) -> Int {
    let (biasLeft, biasRight) = (bias.vec(0), bias.vec(lanes))
    var negated = IntVec.zero
    for row in 0..<rows {
        let source = tile + row * panelWidth
        negated &+= maskBits(source.vec(0) + biasLeft .> Vec.zero)
        negated &+= maskBits(source.vec(lanes) + biasRight .> Vec.zero)
    }
    return -Int(negated.wrappedSum())
}

/// `SparseKernels.packPanel`.
func sparsePackPanel(
    _ matrix: UnsafePointer<Float>, _ stride: Int, _ ids: UnsafePointer<UInt32>, _ columns: Int, _ depth: Int,
    _ panel: UnsafeMutablePointer<Float>
) {
    // 64 steps of depth at a time: their part of the panel stays in the first cache while the rows are read along.
    let step = 64
    var first = 0
    while first < depth {
        let last = min(first + step, depth)
        for column in 0..<columns {
            let row = matrix + Int(ids[column]) * stride
            for k in first..<last { panel[k * panelWidth + column] = row[k] }
        }
        for column in columns..<max(columns, panelWidth) {
            for k in first..<last { panel[k * panelWidth + column] = 0 }
        }
        first = last
    }
}
