import Tensors

/// The gated feed-forward activation of diffusers' transformers: `y = value · geluErf(gate)`, where the last axis of x,
/// of width 2n, is [value | gate].
public enum GEGLU {
    /// `x [..., 2n]` → `[..., n]`.
    public static func forward(_ x: Tensor, engine: Engine) -> Tensor {
        precondition(x.channels.isMultiple(of: 2), "GEGLU needs an even width, got \(x.shape)")
        let width = x.channels / 2
        let result = Tensor(x.shape.dropLast() + [width], in: engine.workspace)
        let kernel = engine.kernels.elementwise.geglu
        engine.threads.forRanges(x.rows, grain: grain(x, engine), bytes: 6 * x.count) { rows, _ in
            let first = rows.lowerBound
            kernel(x.pointer + 2 * first * width, result.pointer + first * width, rows.count, width)
        }
        return result
    }

    /// `dy [..., n]`, `x [..., 2n]` as given to `forward` → `dx [..., 2n]`.
    public static func backwardInput(_ dy: Tensor, x: Tensor, engine: Engine) -> Tensor {
        let width = dy.channels
        precondition(x.channels == 2 * width && x.rows == dy.rows, "GEGLU backward of \(dy.shape) for \(x.shape)")
        let result = Tensor(x.shape, in: engine.workspace)
        let kernel = engine.kernels.elementwise.gegluBackward
        engine.threads.forRanges(x.rows, grain: grain(x, engine), bytes: 10 * x.count) { rows, _ in
            let first = rows.lowerBound
            kernel(
                dy.pointer + first * width, x.pointer + 2 * first * width, result.pointer + 2 * first * width,
                rows.count, width)
        }
        return result
    }

    private static func grain(_ x: Tensor, _ engine: Engine) -> Int {
        max(1, 2 * Elementwise.grain(x.count, engine) / max(1, x.channels))
    }
}
