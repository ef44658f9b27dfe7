// Twins of `SparseKernels`. Tiles and biases have `panelWidth` columns, as the kernels' do.
import RealModule

extension Reference {
    /// Twin of `packPanel`: rows `ids` of a matrix as columns of a panel `[depth][panelWidth]`.
    public static func packPanel<T: ReferenceScalar>(
        _ matrix: [T], stride: Int, ids: [UInt32], depth: Int, panelWidth: Int
    ) -> [T] {
        var panel: [T] = zeros(depth * panelWidth)
        for (column, id) in ids.enumerated() {
            for k in 0..<depth { panel[k * panelWidth + column] = matrix[Int(id) * stride + k] }
        }
        return panel
    }

    /// The key of an activation that is not negative: larger for larger values, then for lower indices.
    public static func key(_ value: Float, _ index: UInt32) -> UInt64 {
        UInt64(value.bitPattern) << 32 | UInt64(UInt32.max - index)
    }

    /// What a tile's elements are before selection: `tile[r][c] + bias[c]` with their indices, row by row.
    private static func candidates(
        _ tile: [Float], rows: Int, bias: [Float], ids: [UInt32], firstIndex: UInt32, indexStride: UInt32
    ) -> [(value: Float, column: Int, index: UInt32)] {
        let panelWidth = bias.count
        return (0..<rows).flatMap { row in
            ids.indices.map { column in
                (
                    tile[row * panelWidth + column] + bias[column], column,
                    firstIndex + UInt32(row) * indexStride + ids[column]
                )
            }
        }
    }

    /// Twin of `select`. Keys are bits of float32, so this one is not generic.
    public static func select(
        _ tile: [Float], rows: Int, bias: [Float], ids: [UInt32], firstIndex: UInt32, indexStride: UInt32, bound: UInt64
    ) -> [UInt64] {
        candidates(tile, rows: rows, bias: bias, ids: ids, firstIndex: firstIndex, indexStride: indexStride)
            .map { key($0.value > 0 ? $0.value : 0, $0.index) }.filter { $0 > bound }
    }

    /// Twin of `selectAbove`.
    public static func selectAbove(
        _ tile: [Float], rows: Int, bias: [Float], gate: [Float], ids: [UInt32], firstIndex: UInt32, indexStride: UInt32
    ) -> [UInt64] {
        candidates(tile, rows: rows, bias: bias, ids: ids, firstIndex: firstIndex, indexStride: indexStride)
            .filter { $0.value > 0 && $0.value > gate[$0.column] }.map { key($0.value, $0.index) }
    }

    /// Twin of `countPositive`.
    public static func countPositive(_ tile: [Float], rows: Int, bias: [Float]) -> Int {
        (0..<rows * bias.count).count { tile[$0] + bias[$0 % bias.count] > 0 }
    }

    /// Twin of `sumRows`: `start[c] + Σ_i factors[i]·matrix[ids[i]][c]`.
    public static func sumRows<T: ReferenceScalar>(
        ids: [UInt32], factors: [T], _ matrix: [T], stride: Int, start: [T]
    ) -> [T] {
        var out = start
        for (id, factor) in zip(ids, factors) {
            for c in out.indices { out[c] += factor * matrix[Int(id) * stride + c] }
        }
        return out
    }

    /// Twin of `dotRows`: `start[i] + Σ_c vector[c]·matrix[ids[i]][c]`.
    public static func dotRows<T: ReferenceScalar>(
        _ vector: [T], ids: [UInt32], _ matrix: [T], stride: Int, start: [T]
    ) -> [T] {
        zip(ids, start).map { id, start in
            vector.indices.reduce(start) { $0 + vector[$1] * matrix[Int(id) * stride + $1] }
        }
    }

    /// Twin of `combine`: `alpha·a + beta·b`; the sum of squares is `dot` of it with itself.
    public static func combine<T: ReferenceScalar>(_ a: [T], _ alpha: T, _ b: [T], _ beta: T) -> [T] {
        zip(a, b).map { alpha * $0 + beta * $1 }
    }

    /// Twin of `adam`: weights, mean and square after the step.
    public static func adam<T: ReferenceScalar>(
        weights: [T], gradient: [T], mean: [T], square: [T], beta1: T, beta2: T, epsilon: T, size: T, rootScale: T,
        scale: T, parallel: T
    ) -> (weights: [T], mean: [T], square: [T]) {
        let one = T.real(1)
        var result = (weights: weights, mean: mean, square: square)
        for i in weights.indices {
            let g = scale * gradient[i] - parallel * weights[i]
            result.mean[i] = beta1 * mean[i] + (one - beta1) * g
            result.square[i] = beta2 * square[i] + (one - beta2) * g * g
            result.weights[i] -= size * result.mean[i] / (T.sqrt(result.square[i]) * rootScale + epsilon)
        }
        return result
    }
}
