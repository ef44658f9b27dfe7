import Ops
import Tensors

/// What is done to one feature of a sparse autoencoder while a picture is made.
public enum FeatureEdit: Sendable, Equatable {
    /// x + value · W_dec[j]: the decoder's row as it is stored, at every position.
    case add(Float)
    /// The activation becomes this everywhere.
    case clamp(Float)
    /// The activation is multiplied; 0 ablates the feature.
    case scale(Float)
}

extension SparseAutoencoder {
    /// `x [… , D]` with one feature edited and everything else left alone.
    ///
    /// Clamping and scaling change the activation a (after selection) into a′ and keep the error of the reconstruction:
    /// decode(acts′) + (x − decode(acts)) = x + (a′ − a) · s · W_dec[j], with s the token's deviation for autoencoders
    /// that normalise their input, else 1.
    public func edited(_ x: Tensor, feature: Int, _ edit: FeatureEdit, engine: Engine) -> Tensor {
        precondition(x.channels == inputWidth, "SAE of \(inputWidth) channels got \(x.shape)")
        precondition((0..<numLatents).contains(feature), "feature \(feature) of \(numLatents)")
        let tokens = x.reshaped([x.rows, x.channels])
        let changes = changes(tokens, feature: feature, edit, engine: engine)
        let result = x.copy()
        let direction = decoderWeight.pointer + feature * inputWidth
        for (token, change) in changes.enumerated() where change != 0 {
            let row = result.pointer + token * inputWidth
            for i in 0..<inputWidth { row[i] += change * direction[i] }
        }
        return result
    }

    /// What each token's activation changes by, on the layer's own scale.
    private func changes(_ tokens: Tensor, feature: Int, _ edit: FeatureEdit, engine: Engine) -> [Float] {
        if case .add(let value) = edit { return [Float](repeating: value, count: tokens.rows) }
        let codes = encode(tokens, engine: engine)
        return (0..<tokens.rows).map { token in
            let value = codes.entries(of: token).first { $0.feature == feature }?.value ?? 0
            let change: Float
            switch edit {
            case .add(let added): change = added
            case .clamp(let target): change = target - value
            case .scale(let factor): change = value * factor - value
            }
            guard configuration.inputUnitNorm else { return change }
            return change * UnitNorm.statistics(tokens.pointer + token * inputWidth, inputWidth).deviation
        }
    }
}
