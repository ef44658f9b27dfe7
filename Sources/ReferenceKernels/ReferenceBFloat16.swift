// Twins of `BFloat16Kernels`.

extension Reference {
    /// The nearest bfloat16, from its definition: eight significant bits, ties to even; zero below the least normal number
    /// 2⁻¹²⁶, infinite from the middle between the largest number and the next power of two.
    public static func bfloat16(_ value: Float) -> Float {
        guard value.isFinite, !value.isZero else { return value.isNaN ? .nan : value }
        guard value.magnitude >= 0x1p-126 else { return Float(sign: value.sign, exponent: 0, significand: 0) }
        let unit = Float(sign: .plus, exponent: value.exponent - 7, significand: 1)
        if unit.isNormal { return (value / unit).rounded(.toNearestOrEven) * unit }
        return Float((Double(value) / Double(unit)).rounded(.toNearestOrEven) * Double(unit))
    }

    /// The word of two numbers that are bfloat16 already, the first in the low half.
    public static func word(_ low: Float, _ high: Float) -> UInt32 { low.bitPattern >> 16 | high.bitPattern & 0xFFFF_0000 }

    /// The two numbers of a word.
    public static func numbers(_ word: UInt32) -> (low: Float, high: Float) {
        (Float(bitPattern: word << 16), Float(bitPattern: word & 0xFFFF_0000))
    }

    /// `[depth][width]` numbers, rounded, as ⌈depth/2⌉ rows of words: twin of `packPanel`.
    public static func packPairs(_ source: [Float], depth: Int, width: Int) -> [UInt32] {
        (0..<(depth + 1) / 2 * width).map { index in
            let (pair, column) = (index / width, index % width)
            let low = bfloat16(source[2 * pair * width + column])
            return word(low, 2 * pair + 1 < depth ? bfloat16(source[(2 * pair + 1) * width + column]) : 0)
        }
    }

    /// The inverse: `[2·pairs][width]` numbers.
    public static func unpackPairs(_ words: [UInt32], width: Int) -> [Float] {
        (0..<2 * words.count).map { index in
            let (k, column) = (index / width, index % width)
            let pair = numbers(words[k / 2 * width + column])
            return k % 2 == 0 ? pair.low : pair.high
        }
    }

    /// Twin of `packRows`: row tiles `[tile][pair][tileRows]`.
    public static func packRowPairs(_ a: [Float], offsets: [Int], depth: Int, tileRows: Int) -> [UInt32] {
        let packed = packRows(a, offsets: offsets, depth: depth, tileRows: tileRows)
        return stride(from: 0, to: packed.count, by: depth * tileRows).flatMap {
            packPairs(Array(packed[$0..<$0 + depth * tileRows]), depth: depth, width: tileRows)
        }
    }

    /// Twin of `multiply`, summed in double precision: `[rows, columns]`.
    public static func multiplyPairs(
        _ packedA: [UInt32], tileRows: Int, rows: Int, panel: [UInt32], panelWidth: Int, columns: Int
    ) -> [Double] {
        let pairs = panel.count / panelWidth
        let tiles = stride(from: 0, to: packedA.count, by: pairs * tileRows).flatMap {
            unpackPairs(Array(packedA[$0..<$0 + pairs * tileRows]), width: tileRows)
        }
        return multiply(
            tiles.map(Double.init), tileRows: tileRows, rows: rows, depth: 2 * pairs,
            panel: unpackPairs(panel, width: panelWidth).map(Double.init), columns: columns)
    }

    /// Twin of `transposePanel`.
    public static func transposePairs(_ source: [UInt32], rows: Int, panelWidth: Int) -> [UInt32] {
        let square = unpackPairs(source, width: panelWidth)
        let transposed = transposePanel(square, rows: (rows + 1) / 2 * 2, panelWidth: panelWidth)
        return packPairs(transposed, depth: panelWidth, width: panelWidth)
    }
}
