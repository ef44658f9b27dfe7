// The gradient of the queries alone (`AttentionKernels.backwardQuery`), in the forward pass's layout:
// Sᵀ = K·Qᵀ and dPᵀ = V·dOᵀ are [keys][panelWidth queries], dSᵀ = Pᵀ∘(dPᵀ − delta), dQᵀ = scale·Kᵀ·dSᵀ.
import KernelInterface

/// `AttentionKernels.backwardQuery`.
func attentionBackwardQuery<Word: OperandWord>(
    _: Word.Type, _ head: AttentionHead, _ query: UnsafePointer<Float>, _ dOut: UnsafePointer<Float>, _ queries: Range<Int>,
    _ keyTokens: UnsafePointer<Float>, _ valueTokens: UnsafePointer<Float>, _ keyChannels: UnsafePointer<Float>,
    _ keys: Int, _ softmax: UnsafePointer<Float>, _ softmaxStride: Int, _ delta: UnsafePointer<Float>,
    _ dQuery: UnsafeMutablePointer<Float>, _ scratch: UnsafeMutablePointer<Float>
) {
    Word.beginProducts()
    defer { Word.endProducts() }
    let (width, depth, stride) = (head.width, Word.words(head.width), head.queryStride)
    let (scores, products) = (scratch, scratch + Word.keyBlock * panelWidth)
    let packedQuery = products + Word.keyBlock * panelWidth
    let packedGradient = packedQuery + panelWidth * depth
    let sums = packedGradient + panelWidth * depth
    var first = queries.lowerBound
    while first < queries.upperBound {
        let count = min(panelWidth, queries.upperBound - first)
        packTokenPanel(
            Word.self, query + first * stride, stride, count, width, head.scale * log2e, packedQuery)
        packTokenPanel(Word.self, dOut + first * stride, stride, count, width, 1, packedGradient)
        let visible = head.causal ? min(keys, first + count) : keys
        var key = 0
        while key < visible {
            let block = min(Word.keyBlock, keys - key)
            let tokens = key * depth
            multiplyWords(Word.self, keyTokens + tokens, block, width, packedQuery, scores, false)
            multiplyWords(Word.self, valueTokens + tokens, block, width, packedGradient, products, false)
            if head.causal { maskScores(scores, key, block, first) }
            let row = softmax + first
            columnGradients(
                Word.self, scores, products, block, row, row + softmaxStride, delta + first, count)
            multiplyWords(
                Word.self, keyChannels + key / Word.terms * Word.tiled(width), width, block, scores, sums, key > 0)
            key += Word.keyBlock
        }
        for i in 0..<2 * width { sums.store(sums.vec(i * lanes) * head.scale, i * lanes) }
        unpackTokenPanel(sums, count, width, dQuery + first * stride, stride)
        first += panelWidth
    }
}

/// Replaces a panel of scores (queries in columns) by words of dS along the keys.
@inline(never) func columnGradients<Word: OperandWord>(
    _: Word.Type, _ scores: UnsafeMutablePointer<Float>, _ products: UnsafePointer<Float>, _ keys: Int,
    _ maximum: UnsafePointer<Float>, _ reciprocal: UnsafePointer<Float>, _ delta: UnsafePointer<Float>, _ count: Int
) {
    for half in 0..<2 {
        let start = half * lanes
        let valid = min(lanes, count - start)
        if valid <= 0 { break }
        let (m, r, d) = (maximum.vec(start, valid), reciprocal.vec(start, valid), delta.vec(start, valid))
        @inline(always) func gradient(_ k: Int) -> Vec {
            let i = k * panelWidth + start
            return Word.power(scores.vec(i) - m) * r * (products.vec(i) - d)
        }
        @inline(always) func store(_ k: Int, _ low: Vec, _ high: Vec) {
            scores.store(Word.joined(low, high), k / Word.terms * panelWidth + start)
        }
        var k = 0
        while k + Word.terms <= keys {
            store(k, gradient(k), gradient(k + Word.terms - 1))
            k += Word.terms
        }
        if k < keys { store(k, gradient(k), Vec.zero) }
    }
    padPanel(Word.self, scores, keys)
}
