import Ops
import Tensors

/// How far the tokens of a batch lie from their mean: what FVU and explained variance divide by.
struct BatchVariance: Sendable {
    let mean: Tensor
    /// `‖x_t − mean‖²` of each token.
    let ofToken: Scratch<Float>
    let total: Double

    init(_ x: Tensor, engine: Engine) {
        let (rows, width) = (x.rows, x.channels)
        let mean = Tensor([width], columnSums(x, engine: engine).map { Float($0 / Double(rows)) })
        let squares = Scratch<Float>(rows, engine)
        let scratch = Tensor([engine.threads.count, width], in: engine.workspace)
        engine.threads.forRanges(rows, grain: 64) { range, worker in
            for row in range {
                squares.pointer[row] = engine.kernels.sparse.combine(
                    x.pointer + row * width, 1, mean.pointer, -1, width, scratch.pointer + worker * width)
            }
        }
        self.mean = mean
        ofToken = squares
        total = (0..<rows).reduce(0.0) { $0 + Double(squares.pointer[$1]) }
    }
}
