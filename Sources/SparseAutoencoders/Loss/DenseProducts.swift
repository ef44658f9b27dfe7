import Ops
import Tensors

/// A reconstruction's products as dense ones, over the features that are active at all. When these are active in more
/// than a sixth of the tokens (the auxiliary reconstruction usually, ReLU's at the start), multiplying zeros at the
/// register tile's speed is faster than gathering rows at the caches'.
struct DenseProducts: Sendable {
    /// Depth that is multiplied at once: so much of a panel stays in the first cache.
    private static let depthBlock = 320

    private let codes: SparseCodes
    /// Features with entries, ascending, and the place of each in this list.
    private let features: [Int]
    private let places: Scratch<UInt32>
    private let width: Int
    private let engine: Engine
    /// The features' decoder rows, to be multiplied by activations: `[width / panel][feature][panel]`.
    private let decoder: Tensor
    /// The same transposed, to be multiplied by gradients: `[features / panel][width][panel]`.
    private let transposed: Tensor

    /// Nil if there are too few entries for it.
    init?(_ codes: SparseCodes, _ autoencoder: SparseAutoencoder, _ engine: Engine) {
        let features = (0..<codes.numLatents).filter { !codes.feature($0).isEmpty }
        guard 6 * codes.count > codes.tokens * features.count, features.count >= 32 else { return nil }
        (self.codes, self.features, self.engine) = (codes, features, engine)
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
        let transposed = Tensor([panels, depth, panelWidth], in: engine.workspace)
        engine.threads.forEach(panels) { panel, _ in
            let first = panel * panelWidth
            engine.kernels.sparse.packPanel(
                autoencoder.decoderWeight.pointer, depth, ids.pointer + first, min(panelWidth, ids.count - first), depth,
                transposed.pointer + first * depth)
        }
        self.transposed = transposed
    }

    /// Rows of a matrix in column panels, `[channels / panel][row][panel]`, the last padded with zeros.
    private static func columnPanels(
        _ matrix: Tensor, rows: Int, _ engine: Engine, row: @escaping @Sendable (Int) -> Int
    ) -> Tensor {
        let (panelWidth, channels) = (engine.kernels.gemm.panelWidth, matrix.channels)
        let panels = (channels + panelWidth - 1) / panelWidth
        let result = Tensor([panels, rows, panelWidth], in: engine.workspace)
        engine.threads.forRanges(rows, grain: 64) { range, _ in
            for index in range {
                let source = matrix.pointer + row(index) * channels
                for panel in 0..<panels {
                    let target = result.pointer + (panel * rows + index) * panelWidth
                    let count = min(panelWidth, channels - panel * panelWidth)
                    target.update(from: source + panel * panelWidth, count: count)
                    (target + count).update(repeating: 0, count: panelWidth - count)
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
        let (gemm, depth) = (engine.kernels.gemm, a.channels)
        let panelWidth = gemm.panelWidth
        let packedRows = (a.rows + gemm.tileRows - 1) / gemm.tileRows * gemm.tileRows
        let packed = Tensor([packedRows, Self.depthBlock], in: engine.workspace)
        for start in stride(from: 0, to: depth, by: Self.depthBlock) {
            let count = min(Self.depthBlock, depth - start)
            gemm.packRows(
                a.pointer, (0..<a.rows).map { $0 * depth + start }, a.rows, count, packed.pointer, gemm.tileRows * count)
            for column in stride(from: 0, to: columns, by: panelWidth) {
                gemm.multiply(
                    packed.pointer, a.rows, count, panels.pointer + column * depth + start * panelWidth,
                    min(panelWidth, columns - column), c + column, columns, accumulate || start > 0)
            }
        }
    }

    /// `target[feature] (+)= Σ_tokens factor · rows[token]` for all features with entries; factors are the entries'
    /// values or slopes.
    func addRows(_ rows: Tensor, _ factors: Scratch<Float>, to target: Tensor, overwrite: Bool) {
        let gemm = engine.kernels.gemm
        let panels = Self.columnPanels(rows, rows: codes.tokens, engine) { $0 }
        engine.threads.forRanges(features.count, grain: 8 * gemm.tileRows) { range, _ in
            let sums = Tensor([range.count, width], in: engine.workspace)
            let packed = Tensor([8 * gemm.tileRows, Self.depthBlock], in: engine.workspace)
            var next = range.map { codes.feature(features[$0]).lowerBound }
            for start in stride(from: 0, to: codes.tokens, by: Self.depthBlock) {
                let tokens = start..<min(codes.tokens, start + Self.depthBlock)
                packed.pointer.update(repeating: 0, count: packed.count)
                for (row, index) in range.enumerated() {
                    next[row] = pack(features[index], row, tokens, factors, packed.pointer, from: next[row])
                }
                for column in stride(from: 0, to: width, by: gemm.panelWidth) {
                    gemm.multiply(
                        packed.pointer, range.count, tokens.count,
                        panels.pointer + column * codes.tokens + start * gemm.panelWidth,
                        min(gemm.panelWidth, width - column), sums.pointer + column, width, start > 0)
                }
            }
            for (row, index) in range.enumerated() {
                let (source, sum) = (sums.pointer + row * width, target.pointer + features[index] * width)
                _ = engine.kernels.sparse.combine(source, 1, overwrite ? source : sum, overwrite ? 0 : 1, width, sum)
            }
        }
    }

    /// Puts a feature's factors of some tokens into row `row` of packed row tiles; returns where its next entries are.
    private func pack(
        _ feature: Int, _ row: Int, _ tokens: Range<Int>, _ factors: Scratch<Float>,
        _ packed: UnsafeMutablePointer<Float>, from first: Int
    ) -> Int {
        let tileRows = engine.kernels.gemm.tileRows
        let (tile, lane) = row.quotientAndRemainder(dividingBy: tileRows)
        let target = packed + tile * tileRows * tokens.count + lane
        var place = first
        let end = codes.feature(feature).upperBound
        while place < end, Int(codes.entryTokens.pointer[place]) < tokens.upperBound {
            let token = Int(codes.entryTokens.pointer[place]) - tokens.lowerBound
            target[token * tileRows] = factors.pointer[Int(codes.entries.pointer[place])]
            place += 1
        }
        return place
    }
}
