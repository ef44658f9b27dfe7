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

    init(_ autoencoder: SparseAutoencoder, into gradients: SAEGradients, engine: Engine) {
        self.autoencoder = autoencoder
        self.engine = engine
        self.gradients = gradients
        bias = [Double](repeating: 0, count: autoencoder.inputWidth)
    }

    /// - Parameter centered: what the encoder saw of the reconstructions' tokens.
    func add(_ reconstructions: [Reconstruction], centered: Tensor) {
        if isFirst { clear(exceptIn: reconstructions[0].codes) }
        for reconstruction in reconstructions {
            for (i, sum) in columnSums(reconstruction.gradients[0], engine: engine).enumerated() { bias[i] += sum }
            let pass = FeaturePass(
                autoencoder: autoencoder, engine: engine, gradients: gradients, reconstruction: reconstruction,
                centered: centered, overwrite: isFirst)
            pass.run()
            isFirst = false
        }
    }

    private func clear(exceptIn codes: SparseCodes) {
        let width = autoencoder.inputWidth
        engine.threads.forRanges(autoencoder.numLatents, grain: 64) { [gradients] range, _ in
            for feature in range where codes.feature(feature).isEmpty {
                (gradients.decoderWeight.pointer + feature * width).update(repeating: 0, count: width)
                (gradients.encoderWeight.pointer + feature * width).update(repeating: 0, count: width)
                gradients.encoderBias.pointer[feature] = 0
                gradients.threshold?.pointer[feature] = 0
            }
        }
    }

    func finish() {
        let encoder = weightedSum(autoencoder.encoderWeight, gradients.encoderBias.pointer, engine: engine)
        for i in bias.indices { gradients.decoderBias.pointer[i] = Float(bias[i] - encoder[i]) }
    }
}

/// One reconstruction's part of the gradients.
private struct FeaturePass: Sendable {
    let autoencoder: SparseAutoencoder
    let engine: Engine
    let gradients: SAEGradients
    let reconstruction: Reconstruction
    let centered: Tensor
    let overwrite: Bool

    private var codes: SparseCodes { reconstruction.codes }
    private var width: Int { autoencoder.inputWidth }

    func run() {
        let features = (0..<codes.numLatents).filter { !codes.feature($0).isEmpty }
        let values = Scratch<Float>(codes.count, engine)
        let slopes = Scratch<Float>(codes.count, engine)
        engine.threads.forRanges(features.count, grain: 16) { range, _ in
            for index in range {
                gather(features[index], values, slopes)
                if reconstruction.dense == nil { add(features[index], values, slopes) }
            }
        }
        reconstruction.dense?.addRows(
            reconstruction.gradients[0], codes.values, to: gradients.decoderWeight, overwrite: overwrite)
        reconstruction.dense?.addRows(centered, codes.slopes, to: gradients.encoderWeight, overwrite: overwrite)
    }

    /// Values and slopes in the order of the feature's tokens, and their sums into the biases' gradients.
    private func gather(_ feature: Int, _ values: Scratch<Float>, _ slopes: Scratch<Float>) {
        var (bias, gate): (Float, Float) = (0, 0)
        for place in codes.feature(feature) {
            let entry = Int(codes.entries.pointer[place])
            values.pointer[place] = codes.values.pointer[entry]
            slopes.pointer[place] = codes.slopes.pointer[entry]
            bias += slopes.pointer[place]
            if let jump = reconstruction.jump { gate += jump.slopes.pointer[entry] }
        }
        func put(_ target: UnsafeMutablePointer<Float>?, _ sum: Float) {
            if let target { target[feature] = (overwrite ? 0 : target[feature]) + sum }
        }
        put(gradients.encoderBias.pointer, bias)
        put(gradients.threshold?.pointer, gate)
    }

    private func add(_ feature: Int, _ values: Scratch<Float>, _ slopes: Scratch<Float>) {
        let places = codes.feature(feature)
        let tokens = codes.entryTokens.pointer + places.lowerBound
        let gradient = reconstruction.gradients[reconstruction.level(of: feature)]
        let (sumRows, target) = (engine.kernels.sparse.sumRows, feature * width)
        sumRows(
            tokens, values.pointer + places.lowerBound, places.count, gradient.pointer, width, width,
            gradients.decoderWeight.pointer + target, !overwrite)
        sumRows(
            tokens, slopes.pointer + places.lowerBound, places.count, centered.pointer, width, width,
            gradients.encoderWeight.pointer + target, !overwrite)
    }
}
