// Twins of `GemmKernels`. Results are dense where the kernels take strides.
import RealModule

extension Reference {
    /// Twin of `packRows`: row tiles `[tile][k][tileRows]` of the rows that start at `offsets`; a negative offset is a row
    /// of zeros.
    public static func packRows<T: ReferenceScalar>(_ a: [T], offsets: [Int], depth: Int, tileRows: Int) -> [T] {
        let tiles = (offsets.count + tileRows - 1) / tileRows
        var packed: [T] = zeros(tiles * depth * tileRows)
        for (row, offset) in offsets.enumerated() where offset >= 0 {
            for k in 0..<depth { packed[(row / tileRows * depth + k) * tileRows + row % tileRows] = a[offset + k] }
        }
        return packed
    }

    /// Twin of `multiply`: `[rows, columns]` of packed A `[tile][k][tileRows]` and one panel `[k][panelWidth]`.
    public static func multiply<T: ReferenceScalar>(
        _ packedA: [T], tileRows: Int, rows: Int, depth: Int, panel: [T], columns: Int
    ) -> [T] {
        let panelWidth = panel.count / depth
        var c: [T] = zeros(rows * columns)
        for row in 0..<rows {
            for column in 0..<columns {
                for k in 0..<depth {
                    let a = packedA[(row / tileRows * depth + k) * tileRows + row % tileRows]
                    c[row * columns + column] += a * panel[k * panelWidth + column]
                }
            }
        }
        return c
    }

    /// Twin of `widen`, from the bits' definition: (−1)ˢ · 2^(e−15) · (1 + f/1024), subnormal for e = 0, infinite or not
    /// a number for e = 31.
    public static func widen<T: ReferenceScalar>(_ half: [UInt16]) -> [T] {
        half.map { bits in
            let (exponent, fraction) = (Int(bits >> 10 & 31), Double(bits & 1023))
            let magnitude =
                switch exponent {
                case 0: fraction * 0x1p-24
                case 31: fraction == 0 ? Double.infinity : .nan
                default: Double.pow(2, exponent - 15) * (1 + fraction / 1024)
                }
            return T.real(bits >> 15 == 1 ? -magnitude : magnitude)
        }
    }

    /// Twin of `transposePanel` (and, on widened numbers, of `transposePanelHalf`).
    public static func transposePanel<T: ReferenceScalar>(_ source: [T], rows: Int, panelWidth: Int) -> [T] {
        var out: [T] = zeros(panelWidth * panelWidth)
        for i in 0..<rows { for j in 0..<panelWidth { out[j * panelWidth + i] = source[i * panelWidth + j] } }
        return out
    }

    /// Sums `[panel][row][panelWidth]`, panels `panelStride` apart, as dense rows.
    private static func gather<T>(_ sums: [T], panelStride: Int, panelWidth: Int, rows: Int, columns: Int) -> [T] {
        (0..<rows * columns).map { index in
            let (row, column) = (index / columns, index % columns)
            return sums[column / panelWidth * panelStride + row * panelWidth + column % panelWidth]
        }
    }

    /// Twin of `writeRows`: `[rows, columns]`; `other` is dense too.
    public static func writeRows<T: ReferenceScalar>(
        _ sums: [T], panelStride: Int, panelWidth: Int, rows: Int, columns: Int, bias: [T]?, secondBias: [T]?,
        other: [T]?
    ) -> [T] {
        var y = gather(sums, panelStride: panelStride, panelWidth: panelWidth, rows: rows, columns: columns)
        for i in y.indices {
            if let other { y[i] += other[i] }
            if let bias { y[i] += bias[i % columns] }
            if let secondBias { y[i] += secondBias[i % columns] }
        }
        return y
    }

    /// Twin of `writeGated`: y `[rows, columns]` and the projection `[rows, 2·columns]` of which it is the GEGLU.
    public static func writeGated<T: ReferenceScalar>(
        _ sums: [T], panelStride: Int, panelWidth: Int, rows: Int, columns: Int, bias: [T]?, gateBias: [T]?
    ) -> (y: [T], projected: [T]) {
        let none: [T] = zeros(columns)
        let projected = writeRows(
            sums, panelStride: panelStride, panelWidth: panelWidth, rows: rows, columns: 2 * columns,
            bias: (bias ?? none) + (gateBias ?? none), secondBias: nil, other: nil)
        return (geglu(projected, width: columns), projected)
    }
}
