import KernelInterface
import Tensors

/// Sums and multiples of whole tensors.
public enum Elementwise {
    /// Elements per task: up to 128 kB per operand, which hides handing tasks out; less where threads would go without.
    static func grain(_ count: Int, _ engine: Engine) -> Int {
        min(32_768, max(4096, count / (3 * engine.threads.count)))
    }

    /// `a + b`, of equal shapes.
    public static func add(_ a: Tensor, _ b: Tensor, engine: Engine) -> Tensor {
        let result = Tensor(a.shape, in: engine.workspace)
        apply(engine.kernels.elementwise.add, a, b, into: result, engine)
        return result
    }

    /// `a += b`, for an `a` that the caller made and has not handed on.
    public static func addInPlace(_ a: Tensor, _ b: Tensor, engine: Engine) {
        apply(engine.kernels.elementwise.add, a, b, into: a, engine)
    }

    /// `factor · x`.
    public static func scale(_ x: Tensor, by factor: Float, engine: Engine) -> Tensor {
        let result = Tensor(x.shape, in: engine.workspace)
        let kernel = engine.kernels.elementwise.scale
        engine.threads.forRanges(x.count, grain: grain(x.count, engine), bytes: 8 * x.count) { range, _ in
            kernel(factor, x.pointer + range.lowerBound, result.pointer + range.lowerBound, range.count)
        }
        return result
    }

    static func apply(
        _ kernel: @escaping ElementwiseKernels.Unary, _ x: Tensor, into result: Tensor, _ engine: Engine
    ) {
        engine.threads.forRanges(x.count, grain: grain(x.count, engine), bytes: 8 * x.count) { range, _ in
            kernel(x.pointer + range.lowerBound, result.pointer + range.lowerBound, range.count)
        }
    }

    static func apply(
        _ kernel: @escaping ElementwiseKernels.Binary, _ a: Tensor, _ b: Tensor, into result: Tensor, _ engine: Engine
    ) {
        precondition(a.count == b.count, "elementwise on \(a.shape) and \(b.shape)")
        engine.threads.forRanges(a.count, grain: grain(a.count, engine), bytes: 12 * a.count) { range, _ in
            let start = range.lowerBound
            kernel(a.pointer + start, b.pointer + start, result.pointer + start, range.count)
        }
    }
}
