import Tensors

/// Sums of whole tensors.
public enum Elementwise {
    /// `a + b`, same shapes.
    public static func add(_ a: Tensor, _ b: Tensor, engine: Engine) -> Tensor {
        precondition(a.count == b.count, "sum of \(a.shape) and \(b.shape)")
        let sum = Tensor(a.shape, in: engine.workspace)
        let (width, kernels) = (a.channels, engine.kernels.gemm)
        engine.threads.forRanges(a.rows, grain: max(1, 65536 / max(width, 1))) { rows, _ in
            let start = rows.lowerBound * width
            (sum.pointer + start).update(from: a.pointer + start, count: rows.count * width)
            kernels.addRows(sum.pointer + start, width, rows.count, width, nil, b.pointer + start, width)
        }
        return sum
    }
}
