/// `GemmKernels.addRows`.
func gemmAddRows(
    _ c: UnsafeMutablePointer<Float>, _ cStride: Int, _ rows: Int, _ columns: Int, _ bias: UnsafePointer<Float>?,
    _ other: UnsafePointer<Float>?, _ otherStride: Int
) {
    for row in 0..<rows {
        let target = c + row * cStride
        if let other {
            addRow(target, other + row * otherStride, columns)
        }
        if let bias {
            addRow(target, bias, columns)
        }
    }
}

@inline(__always) func addRow(_ target: UnsafeMutablePointer<Float>, _ values: UnsafePointer<Float>, _ count: Int) {
    var i = 0
    while i + lanes <= count {
        target.store(target.vec(i) + values.vec(i), i)
        i += lanes
    }
    while i < count {
        target[i] += values[i]
        i += 1
    }
}
