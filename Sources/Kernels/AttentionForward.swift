// Attention forward and the gradient of the queries alone (`AttentionKernels`).
//
// Scores are computed transposed, Sᵀ = K·Qᵀ: keys are tile rows and `panelWidth` queries are the columns. So
//  · a block of Sᵀ, [keys][panelWidth], is at once the packed panel of the second product Oᵀ = Vᵀ·Pᵀ,
//  · maximum and sum over the keys are lane by lane: no horizontal reduction,
//  · the tile rows of the second product are the head's channels, and 40, 80 and 160 fill tiles of 6 and 12 (with the
//    four-row one) exactly, whereas panels of 16 or 32 columns would waste up to 38 % of them.
// Blocks of 240 or 256 keys keep Sᵀ in the first-level cache; each is used by all panels of a query block while it is
// in the second level. Scores carry a factor log₂e, so that probabilities are powers of two.
import KernelInterface

/// Panels of queries per call of `forward`: 128 queries with AVX-512, 64 with AVX2, 32 with SSE.
@inline(always) var queryPanels: Int { 4 }
@inline(always) var log2e: Float { 1.44269504 }

func makeAttentionKernels<Word: OperandWord>(_ word: Word.Type) -> AttentionKernels {
    AttentionKernels(
        queryBlock: queryPanels * panelWidth,
        packedCount: { max(Word.tileCount($0, $1), Word.tileCount($1, $0)) },
        scratchCount: { panelWidth * (2 * Word.keyBlock + queryPanels * (2 * Word.words($0) + $0 + 3)) },
        backwardScratchCount: { BackwardScratch(word, keys: $0, width: $1).count },
        packTokens: { packTokenTiles(word, $0, $1, $2, $3, 1, $4) },
        packChannels: { packChannelBlocks(word, $0, $1, $2, $3, $4) },
        forward: { attentionForward(word, $0, $1, $2, $3, $4, $5, $6, $7, $8, $9) },
        backwardQuery: { attentionBackwardQuery(word, $0, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) },
        backward: { attentionBackward(word, $0, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) },
        rowDots: rowDots)
}

/// `AttentionKernels.forward`.
func attentionForward<Word: OperandWord>(
    _: Word.Type, _ head: AttentionHead, _ query: UnsafePointer<Float>, _ queries: Range<Int>,
    _ keyTokens: UnsafePointer<Float>, _ valueChannels: UnsafePointer<Float>, _ keys: Int,
    _ out: UnsafeMutablePointer<Float>, _ softmax: UnsafeMutablePointer<Float>, _ softmaxStride: Int,
    _ scratch: UnsafeMutablePointer<Float>
) {
    Word.beginProducts()
    defer { Word.endProducts() }
    let (width, depth) = (head.width, Word.words(head.width))
    let panels = (queries.count + panelWidth - 1) / panelWidth
    let scores = scratch
    let packedQuery = scores + Word.keyBlock * panelWidth
    let sums = packedQuery + queryPanels * panelWidth * depth
    let running = sums + queryPanels * panelWidth * width
    for panel in 0..<panels {
        let first = queries.lowerBound + panel * panelWidth
        packTokenPanel(
            Word.self, query + first * head.queryStride, head.queryStride, queries.upperBound - first, width,
            head.scale * log2e, packedQuery + panel * panelWidth * depth)
    }
    let visible = head.causal ? min(keys, queries.upperBound) : keys
    var key = 0
    while key < visible {
        let count = min(Word.keyBlock, keys - key)
        for panel in 0..<panels {
            multiplyWords(
                Word.self, keyTokens + key * depth, count, width, packedQuery + panel * panelWidth * depth,
                scores, false)
            if head.causal { maskScores(scores, key, count, queries.lowerBound + panel * panelWidth) }
            let total = sums + panel * panelWidth * width
            exponentiate(Word.self, scores, count, running + 2 * panel * panelWidth, total, width, first: key == 0)
            multiplyWords(
                Word.self, valueChannels + key / Word.terms * Word.tiled(width), width, count, scores, total, key > 0)
        }
        key += Word.keyBlock
    }
    for panel in 0..<panels {
        let first = queries.lowerBound + panel * panelWidth
        let count = min(panelWidth, queries.upperBound - first)
        let total = sums + panel * panelWidth * width
        normalizePanel(total, width, running + 2 * panel * panelWidth)
        unpackTokenPanel(total, count, width, out + first * head.queryStride, head.queryStride)
        for i in 0..<count {
            softmax[first + i] = running[2 * panel * panelWidth + i]
            softmax[softmaxStride + first + i] = running[(2 * panel + 1) * panelWidth + i]
        }
    }
}

/// Sets the scores of keys beyond the query to −∞.
@inline(always) func maskScores(_ scores: UnsafeMutablePointer<Float>, _ key: Int, _ keys: Int, _ query: Int) {
    for k in 0..<keys {
        let visible = min(panelWidth, max(0, key + k - query))
        for q in 0..<visible { scores[k * panelWidth + q] = -.infinity }
    }
}

/// Replaces the scores of one panel by words of 2^(score − m) along the keys and brings m, the running sum (`running`:
/// [2][panelWidth]) and the running output up to it. m starts as the largest score of the first block. A later block raises
/// it to the largest so far only if a score of some query exceeds it by more than `headroom`.
@inline(never) func exponentiate<Word: OperandWord>(
    _: Word.Type, _ scores: UnsafeMutablePointer<Float>, _ keys: Int, _ running: UnsafeMutablePointer<Float>,
    _ total: UnsafeMutablePointer<Float>, _ width: Int, first: Bool
) {
    let (left, right) = columnMaximum(scores, keys)
    if first {
        storePair((left, right), running)
        storePair((Vec.zero, Vec.zero), running + panelWidth)
    } else if any(left .> running.vec(0) + Word.headroom .| right .> running.vec(lanes) + Word.headroom) {
        raise(running, to: (left, right), total, width)
    }
    storePair(powers(Word.self, scores, keys, pair(running), pair(running + panelWidth)), running + panelWidth)
    padPanel(Word.self, scores, keys)
}

@inline(always) func pair(_ row: UnsafePointer<Float>) -> (left: Vec, right: Vec) { (row.vec(0), row.vec(lanes)) }
@inline(always) func storePair(_ pair: (left: Vec, right: Vec), _ row: UnsafeMutablePointer<Float>) {
    row.store(pair.left, 0)
    row.store(pair.right, lanes)
}

/// Raises m to the larger of itself and `maximum`; the running sum and the running output shrink by that.
@inline(always) func raise(
    _ running: UnsafeMutablePointer<Float>, to maximum: (left: Vec, right: Vec), _ total: UnsafeMutablePointer<Float>,
    _ width: Int
) {
    let old = pair(running)
    let new = (left: larger(maximum.left, old.left), right: larger(maximum.right, old.right))
    let shrink = (left: exp2(old.left - new.left), right: exp2(old.right - new.right))
    @inline(always) func shrinkRow(_ row: UnsafeMutablePointer<Float>) {
        storePair((row.vec(0) * shrink.left, row.vec(lanes) * shrink.right), row)
    }
    storePair(new, running)
    shrinkRow(running + panelWidth)
    for c in 0..<width { shrinkRow(total + c * panelWidth) }
}

/// Replaces scores by words of 2^(score − m) and returns `sums` with all of these powers added.
@inline(always) func powers<Word: OperandWord>(
    _: Word.Type, _ scores: UnsafeMutablePointer<Float>, _ keys: Int, _ m: (left: Vec, right: Vec),
    _ sums: (left: Vec, right: Vec)
) -> (left: Vec, right: Vec) {
    var sums = sums
    @inline(always) func power(_ k: Int) -> (left: Vec, right: Vec) {
        let (left, right) = pair(scores + k * panelWidth)
        let power = (left: Word.power(left - m.left), right: Word.power(right - m.right))
        sums.left += power.left
        sums.right += power.right
        return power
    }
    @inline(always) func store(_ k: Int, _ low: (left: Vec, right: Vec), _ high: (left: Vec, right: Vec)) {
        storePair(
            (Word.joined(low.left, high.left), Word.joined(low.right, high.right)), scores + k / Word.terms * panelWidth)
    }
    var k = 0
    while k + Word.terms <= keys {
        let low = power(k)
        store(k, low, Word.terms == 2 ? power(k + 1) : low)
        k += Word.terms
    }
    if k < keys { store(k, power(k), (Vec.zero, Vec.zero)) }
    return sums
}

/// Maximum over the keys, with four chains: one would wait for its own latency.
@inline(always) func columnMaximum(_ scores: UnsafePointer<Float>, _ keys: Int) -> (Vec, Vec) {
    var (left, right) = (scores.vec(0), scores.vec(lanes))
    var (left1, right1) = (left, right)
    var k = 0
    while k + 2 <= keys {
        left = larger(left, scores.vec(k * panelWidth))
        right = larger(right, scores.vec(k * panelWidth + lanes))
        left1 = larger(left1, scores.vec((k + 1) * panelWidth))
        right1 = larger(right1, scores.vec((k + 1) * panelWidth + lanes))
        k += 2
    }
    if k < keys {
        left = larger(left, scores.vec(k * panelWidth))
        right = larger(right, scores.vec(k * panelWidth + lanes))
    }
    return (larger(left, left1), larger(right, right1))
}

/// Divides the output by the sum; leaves the reciprocal of the sum in its place.
@inline(always) func normalizePanel(
    _ total: UnsafeMutablePointer<Float>, _ width: Int, _ running: UnsafeMutablePointer<Float>
) {
    let (left, right) = (1 / running.vec(panelWidth), 1 / running.vec(panelWidth + lanes))
    for c in 0..<width {
        total.store(total.vec(c * panelWidth) * left, c * panelWidth)
        total.store(total.vec(c * panelWidth + lanes) * right, c * panelWidth + lanes)
    }
    running.store(left, panelWidth)
    running.store(right, panelWidth + lanes)
}

/// `AttentionKernels.rowDots`.
func rowDots(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ stride: Int, _ rows: Int, _ width: Int,
    _ result: UnsafeMutablePointer<Float>
) {
    for row in 0..<rows {
        let (a, b) = (a + row * stride, b + row * stride)
        var sum = Vec.zero
        @inline(always) func step(_ c: Int, _ n: Int) { sum = multiplyAdd(a.vec(c, n), b.vec(c, n), sum) }
        forEachVector(width, step)
        result[row] = horizontalSum(sum)
    }
}
