import Ops
import Tensors

/// The point with the least sum of distances to the rows of `x [n, D]`: Weiszfeld's iteration from the mean, at most
/// 100 rounds, until the point moves by less than 1e-5.
func geometricMedian(_ x: Tensor, engine: Engine) -> Tensor {
    let (rows, width) = (x.rows, x.channels)
    var point = Tensor([width], columnSums(x, engine: engine).map { Float($0 / Double(rows)) })
    let weights = Scratch<Float>(rows, engine)
    let scratch = Tensor([engine.threads.count, width], in: engine.workspace)
    for _ in 0..<100 {
        let center = point
        engine.threads.forRanges(rows, grain: 64) { range, worker in
            for row in range {
                let squares = engine.kernels.sparse.combine(
                    x.pointer + row * width, 1, center.pointer, -1, width, scratch.pointer + worker * width)
                weights.pointer[row] = 1 / max(squares.squareRoot(), 1e-12)
            }
        }
        let total = (0..<rows).reduce(0.0) { $0 + Double(weights.pointer[$1]) }
        let sums = weightedSum(x, weights.pointer, engine: engine)
        point = Tensor([width], sums.map { Float($0 / total) })
        let moved = zip(point.array, center.array).reduce(0.0) { $0 + Double($1.0 - $1.1) * Double($1.0 - $1.1) }
        if moved.squareRoot() < 1e-5 { break }
    }
    return point
}
