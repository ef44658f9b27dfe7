// Attention backward for a range of keys (`AttentionKernels.backward`).
//
// Per block of `gradientQueries` queries and panel of keys, scores lie as S = Q·Kᵀ, [queries][panelWidth keys], so that
// P and dS are at once the panels of dVᵀ = dOᵀ·P and dKᵀ = scale·Qᵀ·dS. Only dQᵀ = scale·Kᵀ·dSᵀ needs the other layout:
// dS is transposed in registers, 4 shuffles a vector against 40 multiplications saved for each of the two products that
// a second pass over the scores would repeat.
import KernelInterface

/// Queries per block: with two panels of keys, S, dP and dSᵀ take 16 kB each or less.
@inline(always) var gradientQueries: Int { 64 }
/// Keys per product for dQ, whose depth they are.
@inline(always) var gradientKeys: Int { 64 }

/// Where the parts of the scratch memory of `attentionBackward` begin.
struct BackwardScratch {
    let panels: Int
    let keyPanels, valuePanels, dKey, dValue, keyChannels: Int
    let queryTokens, dOutTokens, queryChannels, dOutChannels: Int
    let dQuery, scores, products, transposedGradients, count: Int

    @inline(always) init<Word: OperandWord>(_: Word.Type, keys: Int, width: Int) {
        panels = (keys + panelWidth - 1) / panelWidth
        let panelFloats = panels * panelWidth * width
        keyPanels = 0
        valuePanels = panels * panelWidth * Word.words(width)
        dKey = 2 * valuePanels
        dValue = dKey + panelFloats
        keyChannels = dValue + panelFloats
        queryTokens = keyChannels + Word.words(keys) * Word.tiled(width) + packSlack
        dOutTokens = queryTokens + Word.tileCount(gradientQueries, width)
        queryChannels = dOutTokens + Word.tileCount(gradientQueries, width)
        dOutChannels = queryChannels + Word.tileCount(width, gradientQueries)
        dQuery = dOutChannels + Word.tileCount(width, gradientQueries)
        scores = dQuery + gradientQueries * width
        products = scores + gradientQueries * panelWidth
        transposedGradients = products + gradientQueries * panelWidth
        count = transposedGradients + gradientQueries * gradientKeys
    }
}

/// `AttentionKernels.backward`.
func attentionBackward<Word: OperandWord>(
    _: Word.Type, _ head: AttentionHead, _ query: UnsafePointer<Float>, _ dOut: UnsafePointer<Float>, _ queries: Int,
    _ key: UnsafePointer<Float>, _ value: UnsafePointer<Float>, _ keys: Range<Int>,
    _ softmax: UnsafePointer<Float>, _ softmaxStride: Int, _ delta: UnsafePointer<Float>,
    _ dQuery: UnsafeMutablePointer<Float>?, _ dKey: UnsafeMutablePointer<Float>?,
    _ dValue: UnsafeMutablePointer<Float>?, _ scratch: UnsafeMutablePointer<Float>
) {
    Word.beginProducts()
    defer { Word.endProducts() }
    let (width, stride) = (head.width, head.queryStride)
    let at = BackwardScratch(Word.self, keys: keys.count, width: width)
    let wanted = (query: dQuery != nil, keys: dKey != nil && dValue != nil)
    packKeys(Word.self, head, key, value, keys, at, scratch)
    var first = 0
    while first < queries {
        let count = min(gradientQueries, queries - first)
        let (q, d) = (query + first * stride, dOut + first * stride)
        packTokenTiles(Word.self, q, stride, count, width, head.scale * log2e, scratch + at.queryTokens)
        packTokenTiles(Word.self, d, stride, count, width, 1, scratch + at.dOutTokens)
        packChannelTiles(Word.self, q, stride, count, width, head.scale, scratch + at.queryChannels)
        packChannelTiles(Word.self, d, stride, count, width, 1, scratch + at.dOutChannels)
        (scratch + at.dQuery).update(repeating: 0, count: gradientQueries * width)
        let visible = head.causal ? min(keys.count, first + count - keys.lowerBound) : keys.count
        var block = 0
        while block < visible {
            backwardBlock(
                Word.self, head, first, count, keys, block, softmax + first, softmaxStride, delta + first, wanted, at,
                scratch)
            block += gradientKeys
        }
        if let dQuery {
            unpackTokens(scratch + at.dQuery, count, width, dQuery + first * stride, stride)
        }
        first += gradientQueries
    }
    guard let dKey, let dValue else { return }
    let target = keys.lowerBound * head.keyStride
    unpackTokens(scratch + at.dKey, keys.count, width, dKey + target, head.keyStride)
    unpackTokens(scratch + at.dValue, keys.count, width, dValue + target, head.keyStride)
}

/// Panels of sums to the tokens that they are of.
@inline(always) func unpackTokens(
    _ panels: UnsafePointer<Float>, _ count: Int, _ width: Int, _ target: UnsafeMutablePointer<Float>, _ stride: Int
) {
    var panel = 0
    while panel < count {
        unpackTokenPanel(panels + panel * width, count - panel, width, target + panel * stride, stride)
        panel += panelWidth
    }
}

/// Keys and values as panels, keys also a channel per row for each `gradientKeys`; the sums of dK and dV set to zero.
@inline(always) func packKeys<Word: OperandWord>(
    _: Word.Type, _ head: AttentionHead, _ key: UnsafePointer<Float>, _ value: UnsafePointer<Float>, _ keys: Range<Int>,
    _ at: BackwardScratch, _ scratch: UnsafeMutablePointer<Float>
) {
    let (width, stride) = (head.width, head.keyStride)
    for panel in 0..<at.panels {
        let token = keys.lowerBound + panel * panelWidth
        let (offset, count) = (panel * panelWidth * Word.words(width), keys.upperBound - token)
        packTokenPanel(Word.self, key + token * stride, stride, count, width, 1, scratch + at.keyPanels + offset)
        packTokenPanel(Word.self, value + token * stride, stride, count, width, 1, scratch + at.valuePanels + offset)
    }
    var block = 0
    while block < keys.count {
        packChannelTiles(
            Word.self, key + (keys.lowerBound + block) * stride, stride, min(gradientKeys, keys.count - block), width,
            head.scale, scratch + at.keyChannels + block / Word.terms * Word.tiled(width))
        block += gradientKeys
    }
    (scratch + at.dKey).update(repeating: 0, count: 2 * at.panels * panelWidth * width)
}

/// The products of one block of queries with the `gradientKeys` keys from `keys.lowerBound + block`, of those that are
/// wanted.
@inline(never) func backwardBlock<Word: OperandWord>(
    _: Word.Type, _ head: AttentionHead, _ first: Int, _ count: Int, _ keys: Range<Int>, _ block: Int,
    _ softmax: UnsafePointer<Float>, _ softmaxStride: Int, _ delta: UnsafePointer<Float>,
    _ wanted: (query: Bool, keys: Bool), _ at: BackwardScratch, _ scratch: UnsafeMutablePointer<Float>
) {
    let width = head.width
    let (scores, products) = (scratch + at.scores, scratch + at.products)
    let transposedGradients = scratch + at.transposedGradients
    let blockKeys = min(gradientKeys, keys.count - block)
    var start = 0
    while start < blockKeys {
        let (offset, operand) = ((block + start) * width, (block + start) * Word.words(width))
        multiplyWords(
            Word.self, scratch + at.queryTokens, count, width, scratch + at.keyPanels + operand, scores, false)
        multiplyWords(
            Word.self, scratch + at.dOutTokens, count, width, scratch + at.valuePanels + operand, products, false)
        if Word.terms > 1 { maskMissing(scores, count, blockKeys - start) }
        if head.causal { maskRows(scores, count, keys.lowerBound + block + start, first) }
        rowGradients(Word.self, scores, products, count, softmax, softmax + softmaxStride, delta)
        if wanted.keys {
            multiplyWords(
                Word.self, scratch + at.dOutChannels, width, count, scores, scratch + at.dValue + offset, true)
            multiplyWords(
                Word.self, scratch + at.queryChannels, width, count, products, scratch + at.dKey + offset, true)
        }
        if wanted.query {
            transposeGradients(Word.self, products, count, transposedGradients + start / Word.terms * panelWidth)
        }
        start += panelWidth
    }
    if !wanted.query { return }
    var panel = 0
    while panel < count {
        multiplyWords(
            Word.self, scratch + at.keyChannels + block / Word.terms * Word.tiled(width), width, blockKeys,
            transposedGradients + panel * gradientKeys, scratch + at.dQuery + panel * width, true)
        panel += panelWidth
    }
}

/// Sets the scores of keys beyond each row's query to −∞.
@inline(always) func maskRows(_ scores: UnsafeMutablePointer<Float>, _ rows: Int, _ key: Int, _ query: Int) {
    for row in 0..<rows {
        for k in max(0, min(panelWidth, query + row + 1 - key))..<panelWidth {
            scores[row * panelWidth + k] = -.infinity
        }
    }
}

/// Sets the scores of keys that a panel lacks to −∞: their gradients are zero, as they must be in words that they share.
@inline(always) func maskMissing(_ scores: UnsafeMutablePointer<Float>, _ rows: Int, _ keys: Int) {
    if keys >= panelWidth { return }
    for row in 0..<rows {
        for k in keys..<panelWidth { scores[row * panelWidth + k] = -.infinity }
    }
}

/// Replaces scores (queries in rows) by words of P along the queries and the products dO·Vᵀ by those of dS.
@inline(never) func rowGradients<Word: OperandWord>(
    _: Word.Type, _ scores: UnsafeMutablePointer<Float>, _ products: UnsafeMutablePointer<Float>, _ rows: Int,
    _ maximum: UnsafePointer<Float>, _ reciprocal: UnsafePointer<Float>, _ delta: UnsafePointer<Float>
) {
    @inline(always) func gradient(_ row: Int, _ column: Int) -> (p: Vec, dS: Vec) {
        let i = row * panelWidth + column
        let p = Word.power(scores.vec(i) - maximum[row]) * reciprocal[row]
        return (p, p * (products.vec(i) - delta[row]))
    }
    @inline(always) func store(_ row: Int, _ column: Int, _ low: (p: Vec, dS: Vec), _ high: (p: Vec, dS: Vec)) {
        let word = row / Word.terms * panelWidth + column
        scores.store(Word.joined(low.p, high.p), word)
        products.store(Word.joined(low.dS, high.dS), word)
    }
    var row = 0
    while row + Word.terms <= rows {
        let last = row + Word.terms - 1
        store(row, 0, gradient(row, 0), gradient(last, 0))
        store(row, lanes, gradient(row, lanes), gradient(last, lanes))
        row += Word.terms
    }
    if row < rows {
        store(row, 0, gradient(row, 0), (Vec.zero, Vec.zero))
        store(row, lanes, gradient(row, lanes), (Vec.zero, Vec.zero))
    }
    padPanel(Word.self, scores, rows)
    padPanel(Word.self, products, rows)
}

/// dS [queries][panelWidth keys] → panels of queries [key][panelWidth queries], `gradientKeys` keys apart; words along the
/// queries become words along the keys.
@inline(never) func transposeGradients<Word: OperandWord>(
    _: Word.Type, _ gradients: UnsafePointer<Float>, _ rows: Int, _ target: UnsafeMutablePointer<Float>
) {
    var row = 0
    if Word.terms == 2 {
        while row < rows {
            bfloat16TransposePanel(
                UnsafeRawPointer(gradients + row / 2 * panelWidth).assumingMemoryBound(to: UInt32.self), rows - row,
                UnsafeMutableRawPointer(target + row * gradientKeys).assumingMemoryBound(to: UInt32.self))
            row += panelWidth
        }
        return
    }
    while row < rows {
        let panel = target + row / panelWidth * panelWidth * gradientKeys + row % panelWidth
        for half in 0..<2 {
            let source = gradients + row * panelWidth + half * lanes
            transposeSquare(
                { r in source.vec(r * panelWidth) },
                { c, vector in panel.store(vector, (half * lanes + c) * panelWidth) })
        }
        row += lanes
    }
}
