// The register tile: C[rows, 2 vectors] += Σ_k a[k][row] · b[k][2 vectors].
//
// Sixteen-register sets (SSE, AVX2) keep 6×2 accumulators, two vectors of b and one broadcast; thirty-two-register sets
// (AVX-512, NEON) keep 12×2. FMA latency 4 × 2 per cycle needs at least 8 independent sums; both shapes have more. Two
// vectors wide and not three: the U-Net's widths (320, 640, 1280 …) divide by 2·16 exactly, by 3·16 never.
// A remainder of up to four rows has a tile of its own: 64, 256, 1024 and 4096 rows leave exactly four with 6 or 12.

#if LVO_AVX512 || arch(arm64)
@inline(always) var tileRows: Int { 12 }
#else
@inline(always) var tileRows: Int { 6 }
#endif
@inline(always) var panelWidth: Int { 2 * lanes }

/// What a packed operand is made of along k: float32 numbers, or pairs of bfloat16 (`BFloat16.swift`).
protocol OperandWord: SendableMetatype {
    associatedtype Vector
    /// `lanes` words; no alignment needed.
    static func vector(_ words: UnsafePointer<Self>) -> Vector
    /// The word in every lane.
    static func repeated(_ word: Self) -> Vector
    #if arch(arm64)
    /// The word of one lane in every lane.
    static func repeated(_ words: Vector, lane: Int) -> Vector
    #endif
    /// a·b + c.
    static func product(_ a: Vector, _ b: Vector, _ c: Vec) -> Vec
    /// Terms along k in a word: 1 or 2.
    static var terms: Int { get }
    /// Rows of a row tile.
    static var rowsPerTile: Int { get }
    /// Words of one row that lie side by side in a row tile, and of which every depth has a whole number.
    static var depthBlock: Int { get }
    /// `BFloat16Kernels.beginProducts` and `endProducts`: what `multiply` needs around it.
    static func beginProducts()
    static func endProducts()
    /// `GemmKernels.multiply` or `BFloat16Kernels.multiply`.
    static func multiply(
        _ packedA: UnsafePointer<Self>, _ rows: Int, _ depth: Int, _ panel: UnsafePointer<Self>, _ columns: Int,
        _ c: UnsafeMutablePointer<Float>, _ cStride: Int, _ accumulate: Bool
    )
    /// 2^x for x ≤ 127, as exact as what words hold of it; for attention and its gradient alike. 0 for −∞, NaN for NaN.
    static func power(_ x: Vec) -> Vec
    /// How far attention's scores may exceed the number that is subtracted from them before a larger one takes its place.
    static var headroom: Float { get }
    /// Lane by lane the word of the terms `low` and, if it holds two, `high`; as the bits of floats.
    static func joined(_ low: Vec, _ high: Vec) -> Vec
    /// `lanes` words of a row of `width` numbers times `factor`, from word `first` on; as the bits of floats. Reads nothing
    /// beyond the row: what words hold beyond it is zero.
    static func row(_ numbers: UnsafePointer<Float>, _ first: Int, _ width: Int, _ factor: Float) -> Vec
}

/// What holds unless a word has registers of another kind (`TilePack.swift`).
extension OperandWord {
    @inline(always) static var rowsPerTile: Int { tileRows }
    @inline(always) static var depthBlock: Int { 1 }
    @inline(always) static func beginProducts() {}
    @inline(always) static func endProducts() {}
    @inline(always) static func multiply(
        _ packedA: UnsafePointer<Self>, _ rows: Int, _ depth: Int, _ panel: UnsafePointer<Self>, _ columns: Int,
        _ c: UnsafeMutablePointer<Float>, _ cStride: Int, _ accumulate: Bool
    ) {
        gemmMultiply(packedA, rows, depth, panel, columns, c, cStride, accumulate)
    }
}

extension OperandWord {
    /// Words that hold `count` terms, in whole blocks.
    @inline(always) static func words(_ count: Int) -> Int {
        (count + terms * depthBlock - 1) / (terms * depthBlock) * depthBlock
    }
    /// Rows of whole tiles for `count` rows.
    @inline(always) static func tiled(_ count: Int) -> Int { (count + rowsPerTile - 1) / rowsPerTile * rowsPerTile }

    /// The words of four rows, each in every lane.
    @inline(always) static func fourRepeated(_ a: UnsafePointer<Self>) -> (Vector, Vector, Vector, Vector) {
        #if arch(arm64)
        // FMLA takes a lane of a register: one load for the four.
        let words = vector(a)
        return (
            repeated(words, lane: 0), repeated(words, lane: 1), repeated(words, lane: 2), repeated(words, lane: 3)
        )
        #else
        return (repeated(a[0]), repeated(a[1]), repeated(a[2]), repeated(a[3]))
        #endif
    }
}

extension Float: OperandWord {
    @inline(always) static func vector(_ words: UnsafePointer<Float>) -> Vec { words.vec(0) }
    @inline(always) static func repeated(_ word: Float) -> Vec { Vec(repeating: word) }
    #if arch(arm64)
    @inline(always) static func repeated(_ words: Vec, lane: Int) -> Vec { Vec(repeating: words[lane]) }
    #endif
    @inline(always) static func product(_ a: Vec, _ b: Vec, _ c: Vec) -> Vec { multiplyAdd(a, b, c) }
    @inline(always) static var terms: Int { 1 }
    @inline(always) static func power(_ x: Vec) -> Vec { exp2(x) }
    @inline(always) static var headroom: Float { 0 }
    @inline(always) static func joined(_ low: Vec, _ high: Vec) -> Vec { low }
    @inline(always) static func row(
        _ numbers: UnsafePointer<Float>, _ first: Int, _ width: Int, _ factor: Float
    ) -> Vec {
        let source = numbers + first
        return (width - first >= lanes ? source.vec(0) : partialRow(source, width - first)) * factor
    }
}

/// Sums of four rows, two vectors each. Tiles are built from these so that one piece of source serves all shapes.
struct FourRows {
    var a0 = Vec.zero, b0 = Vec.zero
    var a1 = Vec.zero, b1 = Vec.zero
    var a2 = Vec.zero, b2 = Vec.zero
    var a3 = Vec.zero, b3 = Vec.zero

    @inline(always) mutating func add<Word: OperandWord>(
        _ a: UnsafePointer<Word>, _ left: Word.Vector, _ right: Word.Vector
    ) {
        let (r0, r1, r2, r3) = Word.fourRepeated(a)
        a0 = Word.product(r0, left, a0)
        b0 = Word.product(r0, right, b0)
        a1 = Word.product(r1, left, a1)
        b1 = Word.product(r1, right, b1)
        a2 = Word.product(r2, left, a2)
        b2 = Word.product(r2, right, b2)
        a3 = Word.product(r3, left, a3)
        b3 = Word.product(r3, right, b3)
    }

    /// Writes four whole rows.
    @inline(always) func store(_ c: UnsafeMutablePointer<Float>, _ stride: Int, _ accumulate: Bool) {
        storeRow(a0, b0, c, accumulate)
        storeRow(a1, b1, c + stride, accumulate)
        storeRow(a2, b2, c + 2 * stride, accumulate)
        storeRow(a3, b3, c + 3 * stride, accumulate)
    }

    /// Writes the first `columns` columns of the first `rows` rows. Out of line: at the matrix's edges only.
    @inline(never) func storePart(
        _ c: UnsafeMutablePointer<Float>, _ stride: Int, rows: Int, columns: Int, accumulate: Bool
    ) {
        if rows > 0 { storePartOfRow(a0, b0, c, columns, accumulate) }
        if rows > 1 { storePartOfRow(a1, b1, c + stride, columns, accumulate) }
        if rows > 2 { storePartOfRow(a2, b2, c + 2 * stride, columns, accumulate) }
        if rows > 3 { storePartOfRow(a3, b3, c + 3 * stride, columns, accumulate) }
    }
}

/// Sums of two rows, two vectors each.
struct TwoRows {
    var a0 = Vec.zero, b0 = Vec.zero
    var a1 = Vec.zero, b1 = Vec.zero

    @inline(always) mutating func add<Word: OperandWord>(
        _ a: UnsafePointer<Word>, _ left: Word.Vector, _ right: Word.Vector
    ) {
        let r0 = Word.repeated(a[0])
        a0 = Word.product(r0, left, a0)
        b0 = Word.product(r0, right, b0)
        let r1 = Word.repeated(a[1])
        a1 = Word.product(r1, left, a1)
        b1 = Word.product(r1, right, b1)
    }

    @inline(always) func store(_ c: UnsafeMutablePointer<Float>, _ stride: Int, _ accumulate: Bool) {
        storeRow(a0, b0, c, accumulate)
        storeRow(a1, b1, c + stride, accumulate)
    }

    @inline(never) func storePart(
        _ c: UnsafeMutablePointer<Float>, _ stride: Int, rows: Int, columns: Int, accumulate: Bool
    ) {
        if rows > 0 { storePartOfRow(a0, b0, c, columns, accumulate) }
        if rows > 1 { storePartOfRow(a1, b1, c + stride, columns, accumulate) }
    }
}

@inline(always) func storeRow(_ left: Vec, _ right: Vec, _ c: UnsafeMutablePointer<Float>, _ accumulate: Bool) {
    c.store(accumulate ? c.vec(0) + left : left, 0)
    c.store(accumulate ? c.vec(lanes) + right : right, lanes)
}

@inline(always) func storePartOfRow(
    _ left: Vec, _ right: Vec, _ c: UnsafeMutablePointer<Float>, _ columns: Int, _ accumulate: Bool
) {
    if columns == panelWidth { return storeRow(left, right, c, accumulate) }
    for column in 0..<columns {
        let value = column < lanes ? left[column] : right[column - lanes]
        c[column] = accumulate ? c[column] + value : value
    }
}

/// Writes what the matrix has of twelve rows.
@inline(always) func storeTwelve(
    _ top: FourRows, _ middle: FourRows, _ bottom: FourRows, _ rows: Int, _ columns: Int,
    _ c: UnsafeMutablePointer<Float>, _ stride: Int, _ accumulate: Bool
) {
    if rows == tileRows && columns == panelWidth {
        top.store(c, stride, accumulate)
        middle.store(c + 4 * stride, stride, accumulate)
        bottom.store(c + 8 * stride, stride, accumulate)
    } else {
        top.storePart(c, stride, rows: 4, columns: columns, accumulate: accumulate)
        middle.storePart(c + 4 * stride, stride, rows: rows - 4, columns: columns, accumulate: accumulate)
        bottom.storePart(c + 8 * stride, stride, rows: rows - 8, columns: columns, accumulate: accumulate)
    }
}

/// Writes what the matrix has of four rows.
@inline(always) func storeFour(
    _ sums: FourRows, _ rows: Int, _ columns: Int, _ c: UnsafeMutablePointer<Float>, _ stride: Int, _ accumulate: Bool
) {
    if rows == 4 && columns == panelWidth {
        sums.store(c, stride, accumulate)
    } else {
        sums.storePart(c, stride, rows: rows, columns: columns, accumulate: accumulate)
    }
}

/// `GemmKernels.multiply` and `BFloat16Kernels.multiply`.
func gemmMultiply<Word: OperandWord>(
    _ packedA: UnsafePointer<Word>, _ rows: Int, _ depth: Int, _ panel: UnsafePointer<Word>, _ columns: Int,
    _ c: UnsafeMutablePointer<Float>, _ cStride: Int, _ accumulate: Bool
) {
    var row = 0
    while row < rows {
        let a = packedA + row * depth
        let remaining = rows - row
        let target = c + row * cStride
        if remaining > 4 {
            fullTile(a, depth, panel, min(remaining, tileRows), columns, target, cStride, accumulate)
        } else {
            fourRowTile(a, depth, panel, remaining, columns, target, cStride, accumulate)
        }
        row += tileRows
    }
}

@inline(never)
func fullTile<Word: OperandWord>(
    _ a: UnsafePointer<Word>, _ depth: Int, _ panel: UnsafePointer<Word>, _ rows: Int, _ columns: Int,
    _ c: UnsafeMutablePointer<Float>, _ stride: Int, _ accumulate: Bool
) {
    #if LVO_AVX512 || arch(arm64)
    var top = FourRows(), middle = FourRows(), bottom = FourRows()
    var (a, b) = (a, panel)
    for _ in 0..<depth {
        let (left, right) = (Word.vector(b), Word.vector(b + lanes))
        top.add(a, left, right)
        middle.add(a + 4, left, right)
        bottom.add(a + 8, left, right)
        a += tileRows
        b += panelWidth
    }
    storeTwelve(top, middle, bottom, rows, columns, c, stride, accumulate)
    #else
    var top = FourRows(), bottom = TwoRows()
    var (a, b) = (a, panel)
    for _ in 0..<depth {
        let (left, right) = (Word.vector(b), Word.vector(b + lanes))
        top.add(a, left, right)
        bottom.add(a + 4, left, right)
        a += tileRows
        b += panelWidth
    }
    if rows == tileRows && columns == panelWidth {
        top.store(c, stride, accumulate)
        bottom.store(c + 4 * stride, stride, accumulate)
    } else {
        top.storePart(c, stride, rows: 4, columns: columns, accumulate: accumulate)
        bottom.storePart(c + 4 * stride, stride, rows: rows - 4, columns: columns, accumulate: accumulate)
    }
    #endif
}

@inline(never)
func fourRowTile<Word: OperandWord>(
    _ a: UnsafePointer<Word>, _ depth: Int, _ panel: UnsafePointer<Word>, _ rows: Int, _ columns: Int,
    _ c: UnsafeMutablePointer<Float>, _ stride: Int, _ accumulate: Bool
) {
    var sums = FourRows()
    var (a, b) = (a, panel)
    for _ in 0..<depth {
        sums.add(a, Word.vector(b), Word.vector(b + lanes))
        a += tileRows
        b += panelWidth
    }
    storeFour(sums, rows, columns, c, stride, accumulate)
}
