import Checkpoints
import Tensors

/// A small matrix in double precision.
struct Matrix: Sendable {
    let rows: Int
    let columns: Int
    var values: [Double]

    init(rows: Int, columns: Int, values: [Double]) {
        precondition(values.count == rows * columns, "\(values.count) values for \(rows)×\(columns)")
        (self.rows, self.columns, self.values) = (rows, columns, values)
    }

    /// A weight with every dimension after the first flattened into one.
    init(_ weight: Weight) {
        let rows = weight.shape.first ?? 1
        self.init(rows: rows, columns: rows > 0 ? weight.count / rows : 0, values: weight.floats().map(Double.init))
    }

    var transposed: Matrix {
        var result = [Double](repeating: 0, count: values.count)
        for i in 0..<rows { for j in 0..<columns { result[j * rows + i] = values[i * columns + j] } }
        return Matrix(rows: columns, columns: rows, values: result)
    }

    func times(_ other: Matrix) -> Matrix {
        precondition(columns == other.rows, "\(rows)×\(columns) times \(other.rows)×\(other.columns)")
        var result = [Double](repeating: 0, count: rows * other.columns)
        for i in 0..<rows {
            for k in 0..<columns {
                let factor = values[i * columns + k]
                for j in 0..<other.columns { result[i * other.columns + j] += factor * other.values[k * other.columns + j] }
            }
        }
        return Matrix(rows: rows, columns: other.columns, values: result)
    }

    /// Σ_ab left[o, a] · core[a, b, k] · right[b, i] as [o, i·k] (a Tucker decomposition of a kernel).
    static func tucker(core: Weight, left: Matrix, right: Matrix) -> Matrix {
        let (a, b) = (core.shape[0], core.shape[1])
        let (kernel, inputs) = (core.count / max(a * b, 1), right.columns)
        let values = core.floats()
        var middle = [Double](repeating: 0, count: a * inputs * kernel)
        for x in 0..<a {
            for y in 0..<b {
                for i in 0..<inputs {
                    let factor = right.values[y * inputs + i]
                    for k in 0..<kernel {
                        middle[(x * inputs + i) * kernel + k] += factor * Double(values[(x * b + y) * kernel + k])
                    }
                }
            }
        }
        return left.times(Matrix(rows: a, columns: inputs * kernel, values: middle))
    }
}

/// A matrix as a product of two, a · b, with `a` [outputs, rank] and `b` [rank, fan-in]; with a core (Tucker),
/// `a` [rank, outputs], `b` [rank, inputs] and the core [rank, rank, kernel…].
struct LowRank: Sendable {
    let a: Weight
    let b: Weight
    let core: Weight?

    /// Outputs and fan-in; nil if the factors do not belong together.
    var size: (rows: Int, columns: Int)? {
        guard a.shape.count >= 2, b.shape.count >= 2, a.count > 0, b.count > 0 else { return nil }
        guard let core else {
            return a.count / a.shape[0] == b.shape[0] ? (a.shape[0], b.count / b.shape[0]) : nil
        }
        guard core.shape.count > 2, core.count > 0, core.shape[0] == a.shape[0], core.shape[1] == b.shape[0] else {
            return nil
        }
        return (a.count / a.shape[0], b.count / b.shape[0] * core.shape.dropFirst(2).reduce(1, *))
    }

    /// - Precondition: it has a size.
    var matrix: Matrix {
        guard let core else { return Matrix(a).times(Matrix(b)) }
        return .tucker(core: core, left: Matrix(a).transposed, right: Matrix(b))
    }
}

/// LoCon of a kernel through a smaller kernel: W + factor · Σ up[o, a] · middle[a, b, k] · down[b, i].
struct TuckerDelta: WeightChange {
    let up: Weight
    let middle: Weight
    let down: Weight
    let factor: Float

    func fits(_ shape: [Int]) -> Bool {
        guard shape.count > 2, middle.shape.count == shape.count, middle.count > 0, up.shape.count >= 2,
            down.shape.count >= 2
        else { return false }
        return up.shape[0] == shape[0] && up.count == shape[0] * middle.shape[0] && down.shape[0] == middle.shape[1]
            && down.count == middle.shape[1] * shape[1] && middle.shape.dropFirst(2) == shape.dropFirst(2)
    }

    func apply(to values: UnsafeMutableBufferPointer<Float>, shape: [Int]) {
        values.add(factor, Matrix.tucker(core: middle, left: Matrix(up), right: Matrix(down)).values)
    }
}

/// LoHa: W + factor · (first ⊙ second), each of low rank.
struct HadamardDelta: WeightChange {
    let first: LowRank
    let second: LowRank
    let factor: Float

    func fits(_ shape: [Int]) -> Bool {
        guard shape.count >= 2, let one = first.size, let two = second.size, let count = Shapes.count(shape) else {
            return false
        }
        return count > 0 && one == two && one.rows == shape[0] && one.columns == count / shape[0]
    }

    func apply(to values: UnsafeMutableBufferPointer<Float>, shape: [Int]) {
        values.add(factor, zip(first.matrix.values, second.matrix.values).map { $0 * $1 })
    }
}

/// LoKr: W + factor · (first ⊗ second): W[a·b′ + b, c·d′ + d, k] += factor · first[a, c] · second[b, d, k].
struct KroneckerDelta: WeightChange {
    enum Part: Sendable {
        case whole(Weight)
        case product(LowRank)

        var size: (rows: Int, columns: Int)? {
            switch self {
            case .whole(let weight):
                weight.shape.count >= 2 && weight.count > 0 ? (weight.shape[0], weight.count / weight.shape[0]) : nil
            case .product(let product): product.size
            }
        }

        var matrix: Matrix {
            switch self {
            case .whole(let weight): Matrix(weight)
            case .product(let product): product.matrix
            }
        }
    }

    let first: Part
    let second: Part
    let factor: Float

    func fits(_ shape: [Int]) -> Bool {
        guard shape.count >= 2, let one = first.size, let two = second.size else { return false }
        let kernel = shape.dropFirst(2).reduce(1, *)
        return shape[0] % one.rows == 0 && two.rows == shape[0] / one.rows && shape[1] % one.columns == 0
            && two.columns == shape[1] / one.columns * kernel
    }

    func apply(to values: UnsafeMutableBufferPointer<Float>, shape: [Int]) {
        let (one, two) = (first.matrix, second.matrix)
        var product = [Double](repeating: 0, count: values.count)
        var next = 0
        for a in 0..<one.rows {
            for b in 0..<two.rows {
                for c in 0..<one.columns {
                    let factor = one.values[a * one.columns + c]
                    for d in 0..<two.columns {
                        product[next] = factor * two.values[b * two.columns + d]
                        next += 1
                    }
                }
            }
        }
        values.add(factor, product)
    }
}

extension UnsafeMutableBufferPointer<Float> {
    fileprivate func add(_ factor: Float, _ change: [Double]) {
        for i in indices { self[i] = Float(Double(self[i]) + Double(factor) * change[i]) }
    }
}
