import Ops
import Tensors

/// Sums over the rows of `x [n, D]`: in single precision over runs of 256 rows, in double over the runs.
func columnSums(_ x: Tensor, engine: Engine) -> [Double] {
    let (rows, width, grain) = (x.rows, x.channels, 256)
    let runs = (rows + grain - 1) / grain
    let partial = Tensor.zeros([runs, width], in: engine.workspace)
    engine.threads.forEach(runs) { run, _ in
        let sum = partial.pointer + run * width
        for row in run * grain..<min(rows, (run + 1) * grain) {
            _ = engine.kernels.sparse.combine(sum, 1, x.pointer + row * width, 1, width, sum)
        }
    }
    var sums = [Double](repeating: 0, count: width)
    for run in 0..<runs {
        for column in 0..<width { sums[column] += Double(partial.pointer[run * width + column]) }
    }
    return sums
}

/// `Σ_r factors[r] · matrix[r]` over all rows, in runs of 512 as above.
func weightedSum(_ matrix: Tensor, _ factors: UnsafePointer<Float>, engine: Engine) -> [Double] {
    let (rows, width, grain) = (matrix.rows, matrix.channels, 512)
    let runs = (rows + grain - 1) / grain
    let partial = Tensor([runs, width], in: engine.workspace)
    let ids = Scratch<UInt32>(grain, engine)
    for row in 0..<grain { ids.pointer[row] = UInt32(row) }
    nonisolated(unsafe) let factors = factors
    engine.threads.forEach(runs) { run, _ in
        let first = run * grain
        engine.kernels.sparse.sumRows(
            ids.pointer, factors + first, min(grain, rows - first), matrix.pointer + first * width, width, width,
            partial.pointer + run * width, false)
    }
    var sums = [Double](repeating: 0, count: width)
    for run in 0..<runs {
        for column in 0..<width { sums[column] += Double(partial.pointer[run * width + column]) }
    }
    return sums
}
