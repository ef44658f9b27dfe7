// Packing for the attention products. A token is a row of `width` floats; the forms are those of `gemmMultiply`:
//   tokens:   row tiles with a token per row, [tile][channel][rowsPerTile]     (A of K·Qᵀ, depth = width)
//   channels: row tiles with a channel per row, [tile][token][rowsPerTile]     (A of Vᵀ·Pᵀ, depth = tokens)
//   panel:    [channel][panelWidth tokens]                                     (B of K·Qᵀ)
// In bfloat16 the words along the depth are pairs of channels or of tokens. Words of either kind lie in memory for floats.
// Whole vectors are stored and what spills over the end of a tile's row is overwritten by the next row, so every packed
// form has `packSlack` floats more than its tiles.
import KernelInterface

@inline(always) var packSlack: Int { 16 }

extension OperandWord {
    /// Keys per step of the forward pass: whole tiles of 6, 12 and 32 rows and whole blocks of depth. 240 × 2 vectors of
    /// scores are 15–30 kB.
    @inline(always) static var keyBlock: Int { 240 % (terms * depthBlock) == 0 ? 240 : 256 }

    /// Floats of `rows` rows packed in tiles of `depth` terms.
    @inline(always) static func tileCount(_ rows: Int, _ depth: Int) -> Int { tiled(rows) * words(depth) + packSlack }
}

/// Sets to zero the words of a panel that lie between the last of `count` terms and the end of its block.
@inline(always) func padPanel<Word: OperandWord>(_: Word.Type, _ panel: UnsafeMutablePointer<Float>, _ count: Int) {
    if Word.depthBlock == 1 { return }
    var word = (count + Word.terms - 1) / Word.terms
    while word < Word.words(count) {
        panel.store(Vec.zero, word * panelWidth)
        panel.store(Vec.zero, word * panelWidth + lanes)
        word += 1
    }
}

/// Transposes words `word ..< word + words` (at most a vector) of `count` rows of `width` numbers times `factor`, missing
/// rows being zero, and hands each to `sink(word within the block, vector)`.
@inline(always) func transposeRows<Word: OperandWord>(
    _: Word.Type, _ rows: UnsafePointer<Float>, _ stride: Int, _ count: Int, _ width: Int, _ factor: Float,
    _ word: Int, _ words: Int, _ sink: (Int, Vec) -> Void
) {
    let end = Word.terms * (word + lanes)
    if count >= lanes && words == lanes && end <= width {
        return transposeSquare({ r in Word.row(rows + r * stride, word, end, factor) }, sink)
    }
    transposeSquare(
        { r in r < count ? Word.row(rows + r * stride, word, width, factor) : Vec.zero },
        { c, vector in if c < words { sink(c, vector) } })
}

@inline(never) func partialRow(_ row: UnsafePointer<Float>, _ count: Int) -> Vec { row.vec(0, count) }

/// A vector of a row's `width` numbers from `channel` on; zeros beyond them, where nothing is read.
@inline(always) func rowChannels(_ row: UnsafePointer<Float>, _ channel: Int, _ width: Int) -> Vec {
    let (source, valid) = (row + channel, width - channel)
    return valid >= lanes ? source.vec(0) : partialRow(source, valid)
}

/// Calls `body(column, columns)` for blocks that cover `0..<width`: of a whole vector each, the last overlapping the
/// one before it when `width` is no multiple; of `width` columns if that is less than a vector.
@inline(always) func forEachBlock(_ width: Int, _ body: (_ column: Int, _ columns: Int) -> Void) {
    if width < lanes { return body(0, width) }
    var column = 0
    while column < width {
        body(min(column, width - lanes), lanes)
        column += lanes
    }
}

/// Tokens packed a token per row, times `factor`. Rows of a tile go last to first, so that the spill is overwritten.
func packTokenTiles<Word: OperandWord>(
    _: Word.Type, _ rows: UnsafePointer<Float>, _ stride: Int, _ count: Int, _ width: Int, _ factor: Float,
    _ packed: UnsafeMutablePointer<Float>
) {
    #if LVO_AMX
    if Word.terms == 2 { return tilePackTokens(rows, stride, count, width, factor, packed) }
    #elseif LVO_NEONBF16
    if Word.terms == 2 { return blockPackTokens(rows, stride, count, width, factor, packed) }
    #endif
    let depth = Word.words(width)
    var token = 0
    while token < count {
        let tile = packed + token * depth
        var row = (tileRows - 1) / lanes * lanes
        while row >= 0 {
            let source = rows + (token + row) * stride
            forEachBlock(depth) { first, words in
                transposeRows(Word.self, source, stride, count - token - row, width, factor, first, words) {
                    tile.store($1, (first + $0) * tileRows + row)
                }
            }
            row -= lanes
        }
        token += tileRows
    }
}

/// Tokens packed a channel per row (depth `count`), times `factor`. Tile rows beyond the width hold whatever follows
/// in the token's row; the product computes and drops them.
func packChannelTiles<Word: OperandWord>(
    _: Word.Type, _ rows: UnsafePointer<Float>, _ stride: Int, _ count: Int, _ width: Int, _ factor: Float,
    _ packed: UnsafeMutablePointer<Float>
) {
    #if LVO_AMX
    if Word.terms == 2 { return tilePackChannels(rows, stride, count, width, factor, packed) }
    #elseif LVO_NEONBF16
    if Word.terms == 2 { return blockPackChannels(rows, stride, count, width, factor, packed) }
    #endif
    let wholeTokens = stride >= lanes ? count - 1 : 0
    @inline(always) func channels(_ token: Int, _ channel: Int) -> Vec {
        let row = rows + token * stride
        return (token < wholeTokens ? (row + channel).vec(0) : rowChannels(row, channel, width)) * factor
    }
    var channel = 0
    while channel < width {
        let tile = packed + channel * Word.words(count)
        var token = 0
        while token < count {
            var row = 0
            while row < tileRows && channel + row < width {
                let hasNext = Word.terms == 2 && token + 1 < count
                let next = hasNext ? channels(token + 1, channel + row) : Vec.zero
                tile.store(Word.joined(channels(token, channel + row), next), token / Word.terms * tileRows + row)
                row += lanes
            }
            token += Word.terms
        }
        channel += tileRows
    }
}

/// At most `panelWidth` tokens as a panel, missing ones zero, times `factor`.
func packTokenPanel<Word: OperandWord>(
    _: Word.Type, _ rows: UnsafePointer<Float>, _ stride: Int, _ count: Int, _ width: Int, _ factor: Float,
    _ panel: UnsafeMutablePointer<Float>
) {
    for half in 0..<2 {
        let first = half * lanes
        forEachBlock(Word.words(width)) { word, words in
            transposeRows(Word.self, rows + first * stride, stride, count - first, width, factor, word, words) {
                panel.store($1, (word + $0) * panelWidth + first)
            }
        }
    }
}

/// The inverse of `packTokenPanel`: writes `count` rows of `width` floats.
func unpackTokenPanel(
    _ panel: UnsafePointer<Float>, _ count: Int, _ width: Int, _ rows: UnsafeMutablePointer<Float>, _ stride: Int
) {
    var first = 0
    while first < min(count, panelWidth) {
        let target = rows + first * stride
        forEachBlock(width) { column, columns in
            let source = panel + column * panelWidth + first
            if columns == lanes && count - first >= lanes {
                return transposeSquare({ source.vec($0 * panelWidth) }, { (target + $0 * stride).store($1, column) })
            }
            transposeRows(Float.self, source, panelWidth, columns, lanes, 1, 0, lanes) { r, vector in
                if r < count - first { (target + r * stride).store(vector, column, columns) }
            }
        }
        first += lanes
    }
}

/// `AttentionKernels.packChannels`: blocks of `keyBlock` tokens, each packed a channel per row.
func packChannelBlocks<Word: OperandWord>(
    _: Word.Type, _ rows: UnsafePointer<Float>, _ stride: Int, _ keys: Int, _ width: Int,
    _ packed: UnsafeMutablePointer<Float>
) {
    var key = 0
    while key < keys {
        packChannelTiles(
            Word.self, rows + key * stride, stride, min(Word.keyBlock, keys - key), width, 1,
            packed + key / Word.terms * Word.tiled(width))
        key += Word.keyBlock
    }
}

/// `sums (+)= a · panel` over `depth` terms for operands of words in memory for floats, sums `[rows][panelWidth]`.
@inline(always) func multiplyWords<Word: OperandWord>(
    _: Word.Type, _ a: UnsafePointer<Float>, _ rows: Int, _ depth: Int, _ panel: UnsafePointer<Float>,
    _ sums: UnsafeMutablePointer<Float>, _ accumulate: Bool
) {
    Word.multiply(
        UnsafeRawPointer(a).assumingMemoryBound(to: Word.self), rows, Word.words(depth),
        UnsafeRawPointer(panel).assumingMemoryBound(to: Word.self), panelWidth, sums, panelWidth, accumulate)
}
