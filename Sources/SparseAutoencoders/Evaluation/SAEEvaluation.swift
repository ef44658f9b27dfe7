import Files
import Ops
import Tensors

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// How good an autoencoder is on activations it was not trained on. Selection as at inference: the k largest per token.
public struct SAEEvaluation: Sendable {
    /// Sums over some tokens.
    public struct Part: Sendable {
        /// How many tokens.
        public var tokens = 0
        var squaredError = 0.0
        var variance = 0.0
        var explained = 0.0
        var active = 0

        /// Σ‖x̂ − x‖² / Σ‖x − mean‖², the mean over these tokens.
        public var fvu: Double { squaredError / variance }
        /// Mean over tokens of 1 − ‖x̂ − x‖² / ‖x − mean‖².
        public var explainedVariance: Double { explained / Double(tokens) }
        /// Mean number of active features of a token.
        public var l0: Double { Double(active) / Double(tokens) }
    }

    /// A feature that is active in more than this share of all tokens counts as ultra-dense.
    public static let ultraDense = 0.1

    /// All tokens, about their common mean.
    public private(set) var whole = Part()
    /// The tokens of each time step, about their own mean.
    public private(set) var byTimestep: [Int: Part] = [:]
    /// Tokens in which each feature is active.
    public private(set) var activeTokens: [Int]
    private let autoencoder: SparseAutoencoder
    private let means: ActivationMeans
    private let engine: Engine

    /// `means` of the same activations: a first pass over them.
    public init(_ autoencoder: SparseAutoencoder, means: ActivationMeans, engine: Engine) {
        self.autoencoder = autoencoder
        self.means = means
        self.engine = engine
        activeTokens = [Int](repeating: 0, count: autoencoder.numLatents)
    }

    /// Adds tokens `[n, D]` of one time step.
    public mutating func add(_ x: Tensor, timestep: Int) {
        let codes = autoencoder.encode(x, engine: engine)
        let reconstruction = autoencoder.decode(codes, of: x, engine: engine)
        let (width, combine) = (x.channels, engine.kernels.sparse.combine)
        let scratch = Tensor([width], in: engine.workspace)
        let stepMean = means.mean(timestep)
        var (part, own) = (Part(), byTimestep[timestep] ?? Part())
        for token in 0..<x.rows {
            let (source, row) = (x.pointer + token * width, reconstruction.pointer + token * width)
            let error = Double(combine(row, 1, source, -1, width, row))
            let variance = Double(combine(source, 1, means.whole.pointer, -1, width, scratch.pointer))
            let atStep = Double(combine(source, 1, stepMean.pointer, -1, width, scratch.pointer))
            var active = 0
            for entry in codes.entries(of: token) where entry.value > 0 {
                activeTokens[entry.feature] += 1
                active += 1
            }
            part.add(error: error, variance: variance, active: active)
            own.add(error: error, variance: atStep, active: active)
        }
        whole.add(part)
        byTimestep[timestep] = own
    }

    /// Share of the tokens in which each feature is active.
    public var density: [Double] { activeTokens.map { Double($0) / Double(max(1, whole.tokens)) } }
    /// Features that are active in no token of these.
    public var dead: Int { activeTokens.count { $0 == 0 } }
    /// Features that are denser than `Self.ultraDense`.
    public var ultraDense: Int { density.count { $0 > Self.ultraDense } }

    /// Features by log₁₀ of their density, in steps of a half from −6 to 0; the rarer ones in the first.
    public var histogram: [(from: Double, count: Int)] {
        var counts = [Int](repeating: 0, count: 12)
        for value in density where value > 0 {
            counts[min(11, max(0, Int((log10(value) + 6) * 2)))] += 1
        }
        return counts.enumerated().map { (Double($0) / 2 - 6, $1) }
    }

    /// All of it, as in `eval.json`.
    public var json: JSON {
        func part(_ part: Part) -> JSON {
            [
                "tokens": .integer(part.tokens), "fvu": .number(part.fvu), "l0": .number(part.l0),
                "explained_variance": .number(part.explainedVariance),
            ]
        }
        var object = part(whole).object ?? JSONObject()
        object["features"] = .integer(activeTokens.count)
        object["dead"] = .integer(dead)
        object["dead_percent"] = .number(100 * Double(dead) / Double(activeTokens.count))
        object["ultra_dense"] = .integer(ultraDense)
        object["density_histogram"] = .array(
            histogram.map { ["log10_from": .number($0.from), "features": .integer($0.count)] })
        object["by_timestep"] = .array(
            byTimestep.sorted { $0.key < $1.key }.map { step, value in
                var member = part(value).object ?? JSONObject()
                member["timestep"] = .integer(step)
                return .object(member)
            })
        return .object(object)
    }
}

extension SAEEvaluation.Part {
    fileprivate mutating func add(error: Double, variance: Double, active: Int) {
        tokens += 1
        squaredError += error
        self.variance += variance
        explained += 1 - error / variance
        self.active += active
    }

    fileprivate mutating func add(_ other: Self) {
        tokens += other.tokens
        squaredError += other.squaredError
        variance += other.variance
        explained += other.explained
        active += other.active
    }
}
