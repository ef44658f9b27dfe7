import Ops
import Tensors

extension SparseAutoencoder {
    /// Divides each decoder row by (its norm + 1.19e-7), in place.
    public func normalizeDecoder(engine: Engine) {
        let (width, kernels) = (inputWidth, engine.kernels.sparse)
        engine.threads.forRanges(numLatents, grain: 64) { rows, _ in
            for row in rows {
                let weights = decoderWeight.pointer + row * width
                let norm = kernels.dot(weights, weights, width).squareRoot()
                _ = kernels.combine(weights, 1 / (norm + Float.ulpOfOne), weights, 0, width, weights)
            }
        }
    }
}
