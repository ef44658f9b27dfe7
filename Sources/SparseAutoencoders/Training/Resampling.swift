import Ops
import Tensors

extension SAEAdam {
    /// Forgets the moments of one feature.
    func reset(feature: Int) {
        for moment in means + squares where moment.shape.first == means[0].shape[0] {
            let width = moment.count / moment.shape[0]
            (moment.pointer + feature * width).update(repeating: 0, count: width)
        }
    }
}

extension SparseAutoencoder {
    /// Gives dead latents a new start at tokens of `x [n, D]` that are reconstructed badly (Bricken et al., Towards
    /// Monosemanticity, 2023): a token is drawn with a probability proportional to its squared error; its direction
    /// becomes the decoder row, and the encoder row at a fifth of the living rows' mean norm.
    func resample(_ dead: [Bool], from x: Tensor, optimizer: SAEAdam, random: CounterRandom, engine: Engine) {
        let tokens = centered(x, engine: engine)
        let codes = encode(x, training: true, engine: engine)
        let reconstruction = decode(codes, of: x, engine: engine)
        let (d, kernels) = (inputWidth, engine.kernels.sparse)
        var cumulative: [Double] = []
        for token in 0..<x.rows {
            let row = reconstruction.pointer + token * d
            let error = kernels.combine(row, 1, x.pointer + token * d, -1, d, row)
            cumulative.append((cumulative.last ?? 0) + Double(error))
        }
        let scale = 0.2 * meanEncoderNorm(excluding: dead, engine)
        for feature in 0..<numLatents where dead[feature] {
            let draw = Double(random.uniform(feature)) * (cumulative.last ?? 0)
            let token = cumulative.firstIndex { $0 > draw } ?? x.rows - 1
            let direction = tokens.pointer + token * d
            let norm = max(kernels.dot(direction, direction, d).squareRoot(), 1e-12)
            _ = kernels.combine(direction, 1 / norm, direction, 0, d, decoderWeight.pointer + feature * d)
            _ = kernels.combine(direction, scale / norm, direction, 0, d, encoderWeight.pointer + feature * d)
            encoderBias.pointer[feature] = 0
            optimizer.reset(feature: feature)
        }
    }

    private func meanEncoderNorm(excluding dead: [Bool], _ engine: Engine) -> Float {
        var (sum, count): (Float, Float) = (0, 0)
        for feature in 0..<numLatents where !dead[feature] {
            let row = encoderWeight.pointer + feature * inputWidth
            sum += engine.kernels.sparse.dot(row, row, inputWidth).squareRoot()
            count += 1
        }
        return count > 0 ? sum / count : 1
    }
}
