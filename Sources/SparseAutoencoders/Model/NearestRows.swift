import Ops
import Tensors

/// For every row of `a [n, D]` the `count` rows of `b [m, D]` with the largest cosine, best first. Cosines at or
/// below 0 are not told apart (0). The product runs through the encoder's fused selection, so `[n × m]` is never
/// stored.
func nearestRows(
    of a: Tensor, in b: Tensor, count: Int, engine: Engine
) -> [[(index: Int, cosine: Float)]] {
    let unit = unitRows(b, engine: engine)
    let (m, d) = (b.rows, b.channels)
    let directory = SparseAutoencoder(
        configuration: SAEConfiguration(inputWidth: d, numLatents: m, k: min(count, m)), encoderWeight: unit,
        encoderBias: Tensor.zeros([m]), decoderWeight: unit, decoderBias: Tensor.zeros([d]))
    let queries = unitRows(a, engine: engine)
    let block = max(1, (1 << 31) / m)
    var result: [[(index: Int, cosine: Float)]] = []
    for start in stride(from: 0, to: a.rows, by: block) {
        let part = queries.slice(start..<min(a.rows, start + block))
        let codes = directory.encode(part, engine: engine)
        for row in 0..<part.rows {
            result.append(
                codes.entries(of: row).map { ($0.feature, $0.value) }.sorted { ($1.1, $0.0) < ($0.1, $1.0) })
        }
    }
    return result
}

private func unitRows(_ x: Tensor, engine: Engine) -> Tensor {
    let (result, width, kernels) = (x.copy(), x.channels, engine.kernels.sparse)
    engine.threads.forRanges(x.rows, grain: 64) { rows, _ in
        for row in rows {
            let pointer = result.pointer + row * width
            let norm = max(kernels.dot(pointer, pointer, width).squareRoot(), 1e-12)
            _ = kernels.combine(pointer, 1 / norm, pointer, 0, width, pointer)
        }
    }
    return result
}

extension SparseAutoencoder {
    /// For every feature the other feature whose decoder row has the largest cosine with its own.
    public func decoderNeighbours(engine: Engine) -> [(feature: Int, cosine: Float)] {
        nearestRows(of: decoderWeight, in: decoderWeight, count: 2, engine: engine).enumerated().map { own, found in
            found.first { $0.index != own }.map { ($0.index, $0.cosine) } ?? (own, 0)
        }
    }

    /// The feature of another autoencoder whose decoder row has the largest cosine with a feature's.
    ///
    /// - Precondition: both are for the same number of channels.
    public func nearest(to feature: Int, in other: SparseAutoencoder, engine: Engine) -> (feature: Int, cosine: Float) {
        precondition(other.inputWidth == inputWidth, "matching \(inputWidth) and \(other.inputWidth) channels")
        let own = decoderWeight.slice(feature..<feature + 1)
        return nearestRows(of: own, in: other.decoderWeight, count: 1, engine: engine)[0].first
            .map { ($0.index, $0.cosine) } ?? (0, 0)
    }

    /// Pairs of features of two autoencoders by their decoders' cosines: greedily, the best pair first, each feature
    /// once, among the 16 nearest of each. (The optimal assignment costs the cube of the number of features and
    /// differs where features are alike anyway.)
    ///
    /// - Returns: the partner of each feature of this autoencoder, nil where none is left.
    public func match(_ other: SparseAutoencoder, engine: Engine) -> [(feature: Int, cosine: Float)?] {
        precondition(other.inputWidth == inputWidth, "matching \(inputWidth) and \(other.inputWidth) channels")
        var pairs: [(own: Int, other: Int, cosine: Float)] = []
        let near = nearestRows(of: decoderWeight, in: other.decoderWeight, count: 16, engine: engine)
        for (own, candidates) in near.enumerated() {
            for candidate in candidates { pairs.append((own, candidate.index, candidate.cosine)) }
        }
        pairs.sort { ($1.cosine, $0.own, $0.other) < ($0.cosine, $1.own, $1.other) }
        var result = [(feature: Int, cosine: Float)?](repeating: nil, count: numLatents)
        var taken = [Bool](repeating: false, count: other.numLatents)
        for pair in pairs where result[pair.own] == nil && !taken[pair.other] {
            result[pair.own] = (pair.other, pair.cosine)
            taken[pair.other] = true
        }
        return result
    }
}
