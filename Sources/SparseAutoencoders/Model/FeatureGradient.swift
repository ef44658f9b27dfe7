import Ops
import Tensors

/// One feature as a function of the input and back: all that an objective on a feature needs.
extension SparseAutoencoder {
    /// `W_enc[j]·(x − b_dec) + b_enc[j]` for every row of `x [… , D]`, before the ReLU.
    public func preActivation(of feature: Int, _ x: Tensor, engine: Engine) -> [Float] {
        precondition((0..<numLatents).contains(feature), "feature \(feature) of \(numLatents)")
        let centered = centered(x, engine: engine)
        let row = encoderWeight.pointer + feature * inputWidth
        let bias = encoderBias.pointer[feature]
        return (0..<x.rows).map {
            engine.kernels.sparse.dot(centered.pointer + $0 * inputWidth, row, inputWidth) + bias
        }
    }

    /// The gradient at `x` of `Σ_r dPre[r] · preActivation(of: feature, x)[r]`, in x's shape.
    public func backwardInput(of feature: Int, _ dPre: [Float], x: Tensor, engine: Engine) -> Tensor {
        precondition((0..<numLatents).contains(feature), "feature \(feature) of \(numLatents)")
        precondition(dPre.count == x.rows && x.channels == inputWidth, "\(dPre.count) gradients for \(x.shape)")
        let gradient = Tensor(x.shape, in: engine.workspace)
        let row = encoderWeight.pointer + feature * inputWidth
        for (index, slope) in dPre.enumerated() {
            _ = engine.kernels.sparse.combine(row, slope, row, 0, inputWidth, gradient.pointer + index * inputWidth)
        }
        return configuration.inputUnitNorm ? UnitNorm.backwardInput(gradient, x: x, engine: engine) : gradient
    }
}
