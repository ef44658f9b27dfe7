import KernelInterface
import Tensors

/// Activation functions, element by element. There is no plain `gelu`: ports differ in which one they mean.
///
/// Backward needs x itself: saving it costs nothing, it is the layer before's output.
public enum Activation: Sendable, CaseIterable {
    /// `x·σ(x)`.
    case silu
    /// `x·(1 + erf(x/√2))/2`: torch's default GELU.
    case geluErf
    /// `x·σ(1.702x)`: CLIP's `quick_gelu`.
    case geluQuick

    /// `f(x)`, element by element, in x's shape.
    public func forward(_ x: Tensor, engine: Engine) -> Tensor {
        let kernels = engine.kernels.elementwise
        let result = Tensor(x.shape, in: engine.workspace)
        switch self {
        case .silu: Elementwise.apply(kernels.silu, x, into: result, engine)
        case .geluErf: Elementwise.apply(kernels.geluErf, x, into: result, engine)
        case .geluQuick: Elementwise.apply(kernels.geluQuick, x, into: result, engine)
        }
        return result
    }

    /// `dy · f′(x)`.
    public func backwardInput(_ dy: Tensor, x: Tensor, engine: Engine) -> Tensor {
        let kernels = engine.kernels.elementwise
        let result = Tensor(x.shape, in: engine.workspace)
        switch self {
        case .silu: Elementwise.apply(kernels.siluBackward, dy, x, into: result, engine)
        case .geluErf: Elementwise.apply(kernels.geluErfBackward, dy, x, into: result, engine)
        case .geluQuick: Elementwise.apply(kernels.geluQuickBackward, dy, x, into: result, engine)
        }
        return result
    }
}
