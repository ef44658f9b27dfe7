// Sums leave their scratch, `[panel][row][panelWidth]`, for their rows in memory.

/// `GemmKernels.writeRows`.
func gemmWriteRows(
    _ sums: UnsafePointer<Float>, _ panelStride: Int, _ rows: Int, _ columns: Int, _ bias: UnsafePointer<Float>?,
    _ secondBias: UnsafePointer<Float>?, _ other: UnsafePointer<Float>?, _ y: UnsafeMutablePointer<Float>,
    _ stride: Int
) {
    for row in 0..<rows {
        let target = y + row * stride
        let addend = other.map { $0 + row * stride }
        var column = 0
        while column < columns {
            let source = sums + column / panelWidth * panelStride + row * panelWidth
            let width = min(panelWidth, columns - column)
            @inline(always) func step(_ i: Int, _ count: Int) {
                var value = source.vec(i)
                if let addend { value += addend.vec(column + i, count) }
                if let bias { value += bias.vec(column + i, count) }
                if let secondBias { value += secondBias.vec(column + i, count) }
                target.store(value, column + i, count)
            }
            forEachVector(width, step)
            column += panelWidth
        }
    }
}

/// `GemmKernels.writeGated`.
func gemmWriteGated(
    _ sums: UnsafePointer<Float>, _ panelStride: Int, _ rows: Int, _ columns: Int, _ bias: UnsafePointer<Float>?,
    _ gateBias: UnsafePointer<Float>?, _ y: UnsafeMutablePointer<Float>, _ stride: Int,
    _ projected: UnsafeMutablePointer<Float>?
) {
    let gates = columns / panelWidth * panelStride
    for row in 0..<rows {
        var column = 0
        while column < columns {
            let source = sums + column / panelWidth * panelStride + row * panelWidth + column % panelWidth
            var value = source.vec(0), gate = source.vec(gates)
            if let bias { value += bias.vec(column) }
            if let gateBias { gate += gateBias.vec(column) }
            if let projected {
                (projected + 2 * row * stride).store(value, column)
                (projected + (2 * row + 1) * stride).store(gate, column)
            }
            (y + row * stride).store(value * geluErf(gate), column)
            column += lanes
        }
    }
}
