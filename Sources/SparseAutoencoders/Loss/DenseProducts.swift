import Ops
import Tensors

/// A reconstruction's products as dense ones, over the features that are active at all. When these are active in more
/// than a sixth of the tokens (the auxiliary reconstruction usually, ReLU's at the start), multiplying zeros at the
/// register tile's speed is faster than gathering rows at the caches'. Operands are rounded as the engine's precision says.
struct DenseProducts: Sendable {
    /// Words of depth that are multiplied at once: so much of a panel stays in the first cache.
    private static let depthBlock = 320

    private let codes: SparseCodes
    /// Features with entries, ascending, and the place of each in this list.
    private let features: [Int]
    private let places: Scratch<UInt32>
    private let width: Int
    private let engine: Engine
    private let operands: Operands
    /// The features' decoder rows, to be multiplied by activations: `[width / panel][feature][panel]`, features in words.
    private let decoder: Tensor
    /// The same transposed, to be multiplied by gradients: `[features / panel][width][panel]`, width in words.
    private let transposed: Tensor

    /// Nil if there are too few entries for it.
    init?(_ codes: SparseCodes, _ autoencoder: SparseAutoencoder, _ engine: Engine) {
        let features = (0..<codes.numLatents).filter { !codes.feature($0).isEmpty }
        guard 6 * codes.count > codes.tokens * features.count, features.count >= 32 else { return nil }
        (self.codes, self.features, self.engine, operands) = (codes, features, engine, engine.operands)
        width = autoencoder.inputWidth
        places = Scratch(codes.numLatents, engine)
        let ids = Scratch<UInt32>(features.count, engine)
        for (place, feature) in features.enumerated() {
            places.pointer[feature] = UInt32(place)
            ids.pointer[place] = UInt32(feature)
        }
        decoder = Self.columnPanels(autoencoder.decoderWeight, rows: features.count, engine) { features[$0] }
        let (panelWidth, depth) = (engine.kernels.gemm.panelWidth, autoencoder.inputWidth)
        let panels = (features.count + panelWidth - 1) / panelWidth
        let words = operands.words(depth)
        let transposed = Tensor([panels, words, panelWidth], in: engine.workspace)
        let scratch = Tensor([engine.threads.count, depth, panelWidth], in: engine.workspace)
        engine.threads.forEach(panels) { panel, worker in
            let (first, numbers) = (panel * panelWidth, scratch.pointer + worker * depth * panelWidth)
            engine.kernels.sparse.packPanel(
                autoencoder.decoderWeight.pointer, depth, ids.pointer + first, min(panelWidth, ids.count - first), depth,
                numbers)
            engine.operands.packPanel(numbers, depth, transposed.pointer + first * words)
        }
        self.transposed = transposed
    }

    /// Rows of a matrix in column panels, `[channels / panel][row][panel]` with rows in words, the last padded with zeros.
    private static func columnPanels(
        _ matrix: Tensor, rows: Int, _ engine: Engine, row: @escaping @Sendable (Int) -> Int
    ) -> Tensor {
        let (panelWidth, channels) = (engine.kernels.gemm.panelWidth, matrix.channels)
        let panels = (channels + panelWidth - 1) / panelWidth
        let operands = engine.operands
        let words = operands.words(rows)
        let result = Tensor([panels, words, panelWidth], in: engine.workspace)
        engine.threads.forRanges(rows, grain: 64) { range, _ in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: range.count * panelWidth) { numbers in
                guard let numbers = numbers.baseAddress else { return }
                for panel in 0..<panels {
                    let count = min(panelWidth, channels - panel * panelWidth)
                    for (place, index) in range.enumerated() {
                        let target = numbers + place * panelWidth
                        target.update(from: matrix.pointer + row(index) * channels + panel * panelWidth, count: count)
                        (target + count).update(repeating: 0, count: panelWidth - count)
                    }
                    let first = panel * words + range.lowerBound / operands.termsPerWord
                    operands.packPanel(numbers, range.count, result.pointer + first * panelWidth)
                }
            }
        }
        return result
    }

    /// Adds `Σ value · W_dec[feature]` to the rows of some tokens.
    func decode(_ tokens: Range<Int>, into rows: UnsafeMutablePointer<Float>) {
        let matrix = Tensor.zeros([tokens.count, features.count], in: engine.workspace)
        for token in tokens {
            let row = matrix.pointer + (token - tokens.lowerBound) * features.count
            for entry in codes.token(token) {
                row[Int(places.pointer[Int(codes.features.pointer[entry])])] = codes.values.pointer[entry]
            }
        }
        multiply(matrix, decoder, columns: width, into: rows, accumulate: true)
    }

    /// The slopes of the entries of some tokens: each `gradient[token] · W_dec[feature]`.
    func slopes(_ tokens: Range<Int>, gradient: Tensor) {
        let matrix = Tensor([tokens.count, features.count], in: engine.workspace)
        multiply(gradient.slice(tokens), transposed, columns: features.count, into: matrix.pointer, accumulate: false)
        for token in tokens {
            let row = matrix.pointer + (token - tokens.lowerBound) * features.count
            for entry in codes.token(token) {
                codes.slopes.pointer[entry] = row[Int(places.pointer[Int(codes.features.pointer[entry])])]
            }
        }
    }

    private func multiply(
        _ a: Tensor, _ panels: Tensor, columns: Int, into c: UnsafeMutablePointer<Float>, accumulate: Bool
    ) {
        let (gemm, depth, words) = (engine.kernels.gemm, a.channels, operands.words(a.channels))
        let (panelWidth, terms) = (gemm.panelWidth, operands.termsPerWord)
        let packed = Tensor([operands.paddedRows(a.rows), Self.depthBlock], in: engine.workspace)
        operands.beginProducts()
        defer { operands.endProducts() }
        for start in stride(from: 0, to: words, by: Self.depthBlock) {
            let count = min(Self.depthBlock, words - start)
            operands.packRows(
                a.pointer, (0..<a.rows).map { $0 * depth + start * terms }, a.rows,
                min(count * terms, depth - start * terms), packed.pointer, operands.tileRows * count)
            for column in stride(from: 0, to: columns, by: panelWidth) {
                operands.multiply(
                    packed.pointer, a.rows, count, panels.pointer + column * words + start * panelWidth,
                    min(panelWidth, columns - column), c + column, columns, accumulate || start > 0)
            }
        }
    }

    /// `target[feature] (+)= Σ_tokens factor · rows[token]` for all features with entries; factors are the entries'
    /// values or slopes.
    func addRows(_ rows: Tensor, _ factors: Scratch<Float>, to target: Tensor, overwrite: Bool) {
        let gemm = engine.kernels.gemm
        let panels = Self.columnPanels(rows, rows: codes.tokens, engine) { $0 }
        let (words, most) = (operands.words(codes.tokens), Self.depthBlock * operands.termsPerWord)
        engine.threads.forRanges(features.count, grain: 8 * gemm.tileRows) { range, _ in
            let sums = Tensor([range.count, width], in: engine.workspace)
            let matrix = Tensor([range.count, most], in: engine.workspace)
            let packed = Tensor([operands.paddedRows(range.count), Self.depthBlock], in: engine.workspace)
            operands.beginProducts()
            defer { operands.endProducts() }
            var next = range.map { codes.feature(features[$0]).lowerBound }
            for start in stride(from: 0, to: codes.tokens, by: most) {
                let tokens = start..<min(codes.tokens, start + most)
                matrix.pointer.update(repeating: 0, count: matrix.count)
                for (row, index) in range.enumerated() {
                    next[row] = spread(features[index], tokens, factors, matrix.pointer + row * most, from: next[row])
                }
                let (first, count) = (start / operands.termsPerWord, operands.words(tokens.count))
                operands.packRows(
                    matrix.pointer, range.indices.map { ($0 - range.lowerBound) * most }, range.count, tokens.count,
                    packed.pointer, operands.tileRows * count)
                for column in stride(from: 0, to: width, by: gemm.panelWidth) {
                    operands.multiply(
                        packed.pointer, range.count, count, panels.pointer + column * words + first * gemm.panelWidth,
                        min(gemm.panelWidth, width - column), sums.pointer + column, width, start > 0)
                }
            }
            for (row, index) in range.enumerated() {
                let (source, sum) = (sums.pointer + row * width, target.pointer + features[index] * width)
                _ = engine.kernels.sparse.combine(source, 1, overwrite ? source : sum, overwrite ? 0 : 1, width, sum)
            }
        }
    }

    /// Puts a feature's factors of some tokens into a row of zeros; returns where its next entries are.
    private func spread(
        _ feature: Int, _ tokens: Range<Int>, _ factors: Scratch<Float>, _ row: UnsafeMutablePointer<Float>,
        from first: Int
    ) -> Int {
        var place = first
        let end = codes.feature(feature).upperBound
        while place < end, Int(codes.entryTokens.pointer[place]) < tokens.upperBound {
            row[Int(codes.entryTokens.pointer[place]) - tokens.lowerBound] =
                factors.pointer[Int(codes.entries.pointer[place])]
            place += 1
        }
        return place
    }
}
