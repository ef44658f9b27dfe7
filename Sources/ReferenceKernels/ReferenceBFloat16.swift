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

    /// `[depth][width]` numbers, rounded, as rows of words, whole blocks of them: twin of `packPanel`.
    public static func packPairs(_ source: [Float], depth: Int, width: Int, depthBlock: Int = 1) -> [UInt32] {
        func number(_ k: Int, _ column: Int) -> Float { k < depth ? bfloat16(source[k * width + column]) : 0 }
        let pairs = (depth + 2 * depthBlock - 1) / (2 * depthBlock) * depthBlock
        return (0..<pairs * width).map { index in
            let (pair, column) = (index / width, index % width)
            return word(number(2 * pair, column), number(2 * pair + 1, column))
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

    /// Twin of `packRows`: row tiles `[tile][pair / depthBlock][tileRows][pair % depthBlock]`, whole blocks of them.
    public static func packRowPairs(
        _ a: [Float], offsets: [Int], depth: Int, tileRows: Int, depthBlock: Int
    ) -> [UInt32] {
        let packed = packRows(a, offsets: offsets, depth: depth, tileRows: tileRows)
        return stride(from: 0, to: packed.count, by: depth * tileRows).flatMap {
            let tile = packPairs(
                Array(packed[$0..<$0 + depth * tileRows]), depth: depth, width: tileRows, depthBlock: depthBlock)
            return (0..<tile.count).map { tile[place($0, tileRows: tileRows, depthBlock: depthBlock)] }
        }
    }

    /// Where the word `index` of a row tile stands in `[pair][tileRows]`.
    private static func place(_ index: Int, tileRows: Int, depthBlock: Int) -> Int {
        let (block, rest) = index.quotientAndRemainder(dividingBy: tileRows * depthBlock)
        return (block * depthBlock + rest % depthBlock) * tileRows + rest / depthBlock
    }

    /// Twin of `multiply`, summed in double precision: `[rows, columns]`.
    public static func multiplyPairs(
        _ packedA: [UInt32], tileRows: Int, depthBlock: Int, rows: Int, panel: [UInt32], panelWidth: Int, columns: Int
    ) -> [Double] {
        let pairs = panel.count / panelWidth
        let tiles = stride(from: 0, to: packedA.count, by: pairs * tileRows).flatMap { first in
            var tile = [UInt32](repeating: 0, count: pairs * tileRows)
            for i in tile.indices { tile[place(i, tileRows: tileRows, depthBlock: depthBlock)] = packedA[first + i] }
            return unpackPairs(tile, width: tileRows)
        }
        return multiply(
            tiles.map(Double.init), tileRows: tileRows, rows: rows, depth: 2 * pairs,
            panel: unpackPairs(panel, width: panelWidth).map(Double.init), columns: columns)
    }

    /// Twin of `errorSquares`, in double precision.
    public static func errorSquares(_ a: [Float]) -> Double {
        a.reduce(0) { $0 + (Double($1) - Double(bfloat16($1))) * (Double($1) - Double(bfloat16($1))) }
    }

    /// Twin of `transposePanel`.
    public static func transposePairs(_ source: [UInt32], rows: Int, panelWidth: Int) -> [UInt32] {
        let square = unpackPairs(source, width: panelWidth)
        let transposed = transposePanel(square, rows: (rows + 1) / 2 * 2, panelWidth: panelWidth)
        return packPairs(transposed, depth: panelWidth, width: panelWidth)
    }
}
