import Ops
import Tensors

/// Adds up the parameters' gradients from the reconstructions' entries, feature by feature:
///
///     dW_dec[f] = Σ value · G[token]     dW_enc[f] = Σ slope · (x − b_dec)[token]     db_enc[f] = Σ slope
///     db_dec    = Σ_tokens G − Σ_f db_enc[f] · W_enc[f]
///
/// where G is the loss's gradient at the reconstruction. One task owns a feature's rows, so the sums need no locks and
/// run in the order of the tokens; k rows per token are read, not L. Bound by the caches: G and x of a batch are read
/// once per entry.
final class GradientWriter: @unchecked Sendable {
    private let autoencoder: SparseAutoencoder
    private let engine: Engine
    private let gradients: SAEGradients
    private var bias: [Double]
    private var isFirst = true

    init(_ loss: SparseLoss, into gradients: SAEGradients) {
        autoencoder = loss.autoencoder
        engine = loss.engine
        self.gradients = gradients
        bias = [Double](repeating: 0, count: loss.autoencoder.inputWidth)
    }

    func add(_ reconstructions: [Reconstruction], centered: Tensor) {
        for reconstruction in reconstructions {
            for (i, sum) in columnSums(reconstruction.levels[0], engine: engine).enumerated() { bias[i] += sum }
        }
        let tokens = centered.rows
        let factors = Scratch<Float>(2 * tokens * engine.threads.count, engine)
        let overwrite = isFirst
        engine.threads.forRanges(autoencoder.numLatents, grain: 16) { [self] range, worker in
            let scratch = factors.pointer + 2 * tokens * worker
            for feature in range {
                var fresh = overwrite
                for reconstruction in reconstructions where !reconstruction.codes.feature(feature).isEmpty {
                    add(reconstruction, feature, centered, (scratch, scratch + tokens), overwrite: fresh)
                    fresh = false
                }
                if fresh { clear(feature) }
            }
        }
        isFirst = false
    }

    private func add(
        _ reconstruction: Reconstruction, _ feature: Int, _ centered: Tensor,
        _ scratch: (values: UnsafeMutablePointer<Float>, slopes: UnsafeMutablePointer<Float>), overwrite: Bool
    ) {
        let (codes, width) = (reconstruction.codes, autoencoder.inputWidth)
        let range = codes.feature(feature)
        let tokens = codes.entryTokens.pointer + range.lowerBound
        var (bias, gate): (Float, Float) = (0, 0)
        for (i, place) in range.enumerated() {
            let entry = Int(codes.entries.pointer[place])
            scratch.values[i] = codes.values.pointer[entry]
            scratch.slopes[i] = codes.slopes.pointer[entry]
            bias += scratch.slopes[i]
            if let jump = reconstruction.jump { gate += jump.slopes.pointer[entry] }
        }
        let sumRows = engine.kernels.sparse.sumRows
        sumRows(
            tokens, scratch.values, range.count, reconstruction.levels[reconstruction.level(of: feature)].pointer,
            width, width, gradients.decoderWeight.pointer + feature * width, !overwrite)
        sumRows(
            tokens, scratch.slopes, range.count, centered.pointer, width, width,
            gradients.encoderWeight.pointer + feature * width, !overwrite)
        gradients.encoderBias.pointer[feature] = (overwrite ? 0 : gradients.encoderBias.pointer[feature]) + bias
        if let target = gradients.threshold?.pointer { target[feature] = (overwrite ? 0 : target[feature]) + gate }
    }

    private func clear(_ feature: Int) {
        let width = autoencoder.inputWidth
        (gradients.decoderWeight.pointer + feature * width).update(repeating: 0, count: width)
        (gradients.encoderWeight.pointer + feature * width).update(repeating: 0, count: width)
        gradients.encoderBias.pointer[feature] = 0
        gradients.threshold?.pointer[feature] = 0
    }

    func finish() {
        let encoder = weightedSum(autoencoder.encoderWeight, gradients.encoderBias.pointer, engine: engine)
        for i in bias.indices { gradients.decoderBias.pointer[i] = Float(bias[i] - encoder[i]) }
    }
}
