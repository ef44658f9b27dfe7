import KernelInterface

/// Where the sums of a `FilterProduct` go, and what is added or applied to them on the way.
struct StripeOutput: @unchecked Sendable {
    /// `[rows, columns]`, or `[rows, columns/2]` after a gate.
    private let y: UnsafeMutablePointer<Float>
    private let bias: UnsafePointer<Float>?
    private let residual: UnsafePointer<Float>?
    /// Values `[sample][column]` added to all rows of a sample (the time embedding's share), and rows per sample.
    private let sampleBias: (values: UnsafePointer<Float>, rowsPerSample: Int)?
    /// The columns are [value | gate] and `y = value · geluErf(gate)`. Half the columns fill whole panels.
    private let gate: Gate?

    struct Gate {
        /// Where the sums with bias, `[rows, columns]`, are kept for the gradient; nil if nobody asks for them.
        let projected: UnsafeMutablePointer<Float>?
    }

    init(
        y: UnsafeMutablePointer<Float>, bias: UnsafePointer<Float>? = nil, residual: UnsafePointer<Float>? = nil,
        sampleBias: (values: UnsafePointer<Float>, rowsPerSample: Int)? = nil
    ) {
        (self.y, self.bias, self.residual, self.sampleBias, gate) = (y, bias, residual, sampleBias, nil)
    }

    /// With a gate nothing but the bias is added.
    init(y: UnsafeMutablePointer<Float>, bias: UnsafePointer<Float>?, gate: Gate) {
        (self.y, self.bias, self.gate, residual, sampleBias) = (y, bias, gate, nil, nil)
    }

    /// Panels of the filter that make one panel of the result.
    var operands: Int { gate == nil ? 1 : 2 }

    /// Columns of the result.
    private func width(_ columns: Int) -> Int { columns / operands }

    /// Panels of the result.
    func panels(_ columns: Int, _ panelWidth: Int) -> Int { (width(columns) + panelWidth - 1) / panelWidth }

    /// The filter's panel for a slot of a stripe's sums: first all values, then all gates.
    func filterPanel(_ slot: Int, _ stripe: Range<Int>, _ columns: Int, _ panelWidth: Int) -> Int {
        slot < stripe.count
            ? stripe.lowerBound + slot
            : stripe.lowerBound + slot - stripe.count + width(columns) / panelWidth
    }

    /// Writes the sums `[slot][row][panelWidth]` of a stripe, slots `panelStride` apart.
    func write(
        _ gemm: GemmKernels, _ sums: UnsafePointer<Float>, _ panelStride: Int, _ rows: Range<Int>,
        _ stripe: Range<Int>, _ columns: Int
    ) {
        let width = width(columns)
        let first = stripe.lowerBound * gemm.panelWidth
        let count = min(width, stripe.upperBound * gemm.panelWidth) - first
        if let gate {
            gemm.writeGated(
                sums, panelStride, rows.count, count, bias.map { $0 + first }, bias.map { $0 + width + first },
                y + rows.lowerBound * width + first, width,
                gate.projected.map { $0 + rows.lowerBound * columns + first })
            return
        }
        var row = rows.lowerBound
        while row < rows.upperBound {
            let sample = row / (sampleBias?.rowsPerSample ?? rows.upperBound)
            let end = min(rows.upperBound, sampleBias.map { (sample + 1) * $0.rowsPerSample } ?? rows.upperBound)
            let start = row * width + first
            gemm.writeRows(
                sums + (row - rows.lowerBound) * gemm.panelWidth, panelStride, end - row, count,
                bias.map { $0 + first }, sampleBias.map { $0.values + sample * width + first },
                residual.map { $0 + start }, y + start, width)
            row = end
        }
    }
}
