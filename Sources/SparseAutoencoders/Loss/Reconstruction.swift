import Ops
import Tensors

/// One decode of some selected activations, and the way back from it.
///
/// With nested dictionaries there is a level for each prefix: level i decodes the features below `bounds[i]`.
///
/// A level has one buffer `[n, D]`, which passes three phases in place, because memory is what a step is bound by: the
/// reconstruction (after `decode`), its error (after `LossBatch.measure`), and the loss's gradient with respect to the entries
/// of the level's features (after `LossBatch.differentiate`). `reconstructionRow`, `errorRow` and `gradientRow` name the
/// phase at hand.
struct Reconstruction: Sendable {
    enum Role { case main, auxiliary, multi }

    let role: Role
    let codes: SparseCodes
    private let buffers: [Tensor]
    let bounds: [Int]
    /// JumpReLU: pre-activations of the entries, and the loss's derivative with respect to their thresholds.
    let jump: (pre: Scratch<Float>, slopes: Scratch<Float>)?
    /// Where most entries of the features that occur are active.
    let dense: DenseProducts?

    init(_ role: Role, _ codes: SparseCodes, autoencoder: SparseAutoencoder, jump: Bool = false, engine: Engine) {
        self.role = role
        self.codes = codes
        bounds = (role == .main ? autoencoder.configuration.prefixes : []) + [autoencoder.numLatents]
        buffers = bounds.map { _ in Tensor([codes.tokens, autoencoder.inputWidth], in: engine.workspace) }
        self.jump = jump ? (Scratch(codes.count, engine), Scratch(codes.count, engine)) : nil
        dense = bounds.count == 1 ? DenseProducts(codes, autoencoder, engine) : nil
    }

    var levels: Range<Int> { buffers.indices }
    /// In the last phase, by level.
    var gradients: [Tensor] { buffers }

    func reconstructionRow(_ level: Int, _ token: Int) -> UnsafeMutablePointer<Float> { row(level, token) }
    func errorRow(_ level: Int, _ token: Int) -> UnsafeMutablePointer<Float> { row(level, token) }
    func gradientRow(_ level: Int, _ token: Int) -> UnsafeMutablePointer<Float> { row(level, token) }

    private func row(_ level: Int, _ token: Int) -> UnsafeMutablePointer<Float> {
        buffers[level].pointer + token * buffers[level].channels
    }

    /// The entries of a token that belong to a level and not to the one before.
    func entries(_ token: Int, _ level: Int) -> Range<Int> {
        let all = codes.token(token)
        if levels.count == 1 { return all }
        func first(_ bound: Int) -> Int {
            all.first { codes.features.pointer[$0] >= UInt32(bound) } ?? all.upperBound
        }
        return (level == 0 ? all.lowerBound : first(bounds[level - 1]))..<first(bounds[level])
    }

    func level(of feature: Int) -> Int {
        levels.count == 1 ? 0 : bounds.firstIndex { feature < $0 } ?? levels.count - 1
    }

    /// JumpReLU: moves the pre-activations aside and leaves 0 where the threshold is not reached.
    func applyThreshold(_ token: Int, _ threshold: Tensor) {
        guard let jump else { return }
        for entry in codes.token(token) {
            let value = codes.values.pointer[entry]
            jump.pre.pointer[entry] = value
            if value <= threshold.pointer[Int(codes.features.pointer[entry])] { codes.values.pointer[entry] = 0 }
        }
    }

    /// Reconstructions of some tokens: `b_dec + Σ value · W_dec[feature]`, level upon level.
    ///
    /// Columns go by in strips: the strips of the rows that these tokens share stay in the second cache.
    func decode(_ tokens: Range<Int>, _ autoencoder: SparseAutoencoder, _ engine: Engine) {
        let width = autoencoder.inputWidth
        if let dense {
            for token in tokens { reconstructionRow(0, token).update(from: autoencoder.decoderBias.pointer, count: width) }
            return dense.decode(tokens, into: reconstructionRow(0, tokens.lowerBound))
        }
        for strip in Self.strips(width) {
            for token in tokens {
                for level in levels {
                    let target = reconstructionRow(level, token) + strip.lowerBound
                    let base = level == 0 ? autoencoder.decoderBias.pointer : reconstructionRow(level - 1, token)
                    target.update(from: base + strip.lowerBound, count: strip.count)
                    let range = entries(token, level)
                    engine.kernels.sparse.sumRows(
                        codes.features.pointer + range.lowerBound, codes.values.pointer + range.lowerBound,
                        range.count, autoencoder.decoderWeight.pointer + strip.lowerBound, width, strip.count, target,
                        true)
                }
            }
        }
    }

    /// The derivative of every entry of some tokens from the gradients; 0 for entries at value 0.
    func backward(_ tokens: Range<Int>, _ autoencoder: SparseAutoencoder, _ engine: Engine) {
        if let dense {
            dense.slopes(tokens, gradient: buffers[0])
        } else {
            gatherSlopes(tokens, autoencoder, engine)
        }
        guard jump == nil else { return }
        for entry in codes.tokenStart.pointer[tokens.lowerBound]..<codes.tokenStart.pointer[tokens.upperBound]
        where codes.values.pointer[entry] == 0 { codes.slopes.pointer[entry] = 0 }
    }

    private func gatherSlopes(_ tokens: Range<Int>, _ autoencoder: SparseAutoencoder, _ engine: Engine) {
        let width = autoencoder.inputWidth
        for strip in Self.strips(width) {
            for token in tokens {
                for level in levels {
                    let range = entries(token, level)
                    engine.kernels.sparse.dotRows(
                        gradientRow(level, token) + strip.lowerBound, codes.features.pointer + range.lowerBound, range.count,
                        autoencoder.decoderWeight.pointer + strip.lowerBound, width, strip.count,
                        codes.slopes.pointer + range.lowerBound, strip.lowerBound > 0)
                }
            }
        }
    }

    /// 256 columns: a kilobyte of a row, so that a thousand rows fit a cache of a megabyte.
    static func strips(_ width: Int) -> [Range<Int>] {
        stride(from: 0, to: width, by: 256).map { $0..<min(width, $0 + 256) }
    }

    /// Derivatives of the threshold by a window of width w (straight-through estimator): with u = (pre − θ)/w and
    /// K = 1 where |u| < 1/2, `dθ = −(θ/w)·K·d − (λ/w)·K`, d the derivative of the activation, λ the
    /// weight of one active feature. The encoder sees d where the feature is active.
    func backwardThreshold(_ token: Int, _ threshold: Tensor, width: Float, lambda: Float) {
        guard let jump else { return }
        for entry in codes.token(token) {
            let gate = threshold.pointer[Int(codes.features.pointer[entry])]
            let distance = abs(jump.pre.pointer[entry] - gate)
            let slope = codes.slopes.pointer[entry]
            jump.slopes.pointer[entry] = distance < width / 2 ? -(gate * slope + lambda) / width : 0
            if codes.values.pointer[entry] == 0 { codes.slopes.pointer[entry] = 0 }
        }
    }
}
