import Tensors

/// Concatenation along the channels: `[..., m]`, `[..., n]` → `[..., m + n]` (the U-Net's skip connections).
public enum Concat {
    /// `[..., m]`, `[..., n]` → `[..., m + n]`.
    ///
    /// - Precondition: the extents before the last are the same.
    public static func forward(_ a: Tensor, _ b: Tensor, engine: Engine) -> Tensor {
        precondition(a.shape.dropLast() == b.shape.dropLast(), "cannot concatenate \(a.shape) and \(b.shape)")
        let (m, n) = (a.channels, b.channels)
        let result = Tensor(a.shape.dropLast() + [m + n], in: engine.workspace)
        engine.threads.forRanges(a.rows, grain: grain(result, engine), bytes: 8 * result.count) { rows, _ in
            for row in rows {
                let target = result.pointer + row * (m + n)
                target.update(from: a.pointer + row * m, count: m)
                (target + m).update(from: b.pointer + row * n, count: n)
            }
        }
        return result
    }

    /// `dy [..., m + n]` → the gradients of both parts; `channels` is (m, n).
    public static func backwardInput(_ dy: Tensor, channels: (Int, Int), engine: Engine) -> (Tensor, Tensor) {
        let (m, n) = channels
        precondition(dy.channels == m + n, "cannot split \(dy.shape) into \(m) and \(n) channels")
        let a = Tensor(dy.shape.dropLast() + [m], in: engine.workspace)
        let b = Tensor(dy.shape.dropLast() + [n], in: engine.workspace)
        engine.threads.forRanges(dy.rows, grain: grain(dy, engine), bytes: 8 * dy.count) { rows, _ in
            for row in rows {
                let source = dy.pointer + row * (m + n)
                (a.pointer + row * m).update(from: source, count: m)
                (b.pointer + row * n).update(from: source + m, count: n)
            }
        }
        return (a, b)
    }

    private static func grain(_ x: Tensor, _ engine: Engine) -> Int {
        max(1, Elementwise.grain(x.count, engine) / max(1, x.channels))
    }
}
