// Twins of `AttentionKernels`: one head, dense `[tokens, width]`, the whole matrix of probabilities in memory.
import RealModule

extension Reference {
    /// P = softmax(scale·Q·Kᵀ), `[queries, keys]`; causal: zero beyond the query's own place.
    public static func probabilities<T: ReferenceScalar>(
        _ query: [T], _ key: [T], width: Int, scale: Double, causal: Bool
    ) -> [[T]] {
        let keys = rows(key, width)
        return rows(query, width).enumerated().map { i, q in
            let weights = keys.enumerated().map { j, k -> T in
                causal && j > i ? T.real(0) : T.exp(T.real(scale) * dot(q, k))
            }
            let total = weights.reduce(T.real(0), +)
            return weights.map { $0 / total }
        }
    }

    /// Twin of `forward`.
    public static func attention<T: ReferenceScalar>(
        _ query: [T], _ key: [T], _ value: [T], width: Int, scale: Double, causal: Bool
    ) -> [T] {
        let values = rows(value, width)
        return probabilities(query, key, width: width, scale: scale, causal: causal).flatMap { row in
            (0..<width).map { c in zip(row, values).reduce(T.real(0)) { $0 + $1.0 * $1.1[c] } }
        }
    }

    /// Twin of `backward` (and, its first part, of `backwardQuery`): gradients of query, key, value.
    public static func attentionBackward<T: ReferenceScalar>(
        _ dOut: [T], _ query: [T], _ key: [T], _ value: [T], width: Int, scale: Double, causal: Bool
    ) -> (dQuery: [T], dKey: [T], dValue: [T]) {
        let p = probabilities(query, key, width: width, scale: scale, causal: causal)
        let out = attention(query, key, value, width: width, scale: scale, causal: causal)
        let delta = rowDots(dOut, out, width: width)
        let (queries, keys, values, gradients) = (
            rows(query, width), rows(key, width), rows(value, width), rows(dOut, width)
        )
        var dQuery: [T] = zeros(query.count)
        var dKey: [T] = zeros(key.count)
        var dValue: [T] = zeros(value.count)
        for i in queries.indices {
            for j in keys.indices {
                let dScore = p[i][j] * (dot(gradients[i], values[j]) - delta[i]) * T.real(scale)
                for c in 0..<width {
                    dQuery[i * width + c] += dScore * keys[j][c]
                    dKey[j * width + c] += dScore * queries[i][c]
                    dValue[j * width + c] += p[i][j] * gradients[i][c]
                }
            }
        }
        return (dQuery, dKey, dValue)
    }

    /// Twin of `rowDots`: the dot product of every two rows.
    public static func rowDots<T: ReferenceScalar>(_ a: [T], _ b: [T], width: Int) -> [T] {
        zip(rows(a, width), rows(b, width)).map { dot($0, $1) }
    }

    /// Σ a·b: also the twin of `SparseKernels.dot`.
    public static func dot<T: ReferenceScalar>(_ a: [T], _ b: [T]) -> T { zip(a, b).reduce(T.real(0)) { $0 + $1.0 * $1.1 } }
}
