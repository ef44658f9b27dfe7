/// `GemmKernels.packRows`.
func gemmPackRows(
    _ a: UnsafePointer<Float>, _ aStride: Int, _ rows: Int, _ depth: Int, _ packed: UnsafeMutablePointer<Float>
) {
    var row = 0
    while row < rows {
        let target = packed + row * depth
        let valid = min(tileRows, rows - row)
        for r in 0..<tileRows {
            if r < valid {
                let source = a + (row + r) * aStride
                for k in 0..<depth { target[k * tileRows + r] = source[k] }
            } else {
                for k in 0..<depth { target[k * tileRows + r] = 0 }
            }
        }
        row += tileRows
    }
}
