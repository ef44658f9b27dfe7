import Files

/// What `cfg.json` says of a sparse autoencoder: SAeUron's and sparsify's keys, and some of our own that their readers
/// ignore (`activation` for the kinds they do not have, `prefixes` for Matryoshka dictionaries).
public struct SAEConfiguration: Sendable, Equatable {
    /// Channels of the layer, `D`.
    public var inputWidth: Int
    /// Features, `L`.
    public var numLatents: Int
    /// Features that `rule` keeps; of no meaning for `.relu` and `.jumpReLU`.
    public var k: Int
    /// Which activations are kept.
    public var rule: SelectionRule
    /// Trains a second reconstruction with 4k features, so that more than k may be used at inference.
    public var multiTopK = false
    /// Every token is brought to mean 0 and (unbiased) deviation 1 first; losses are measured there.
    public var inputUnitNorm = false
    /// Decoder rows have norm 1.
    public var normalizeDecoder = true
    /// Matryoshka (Bussmann et al., arXiv 2503.17547): besides the whole, the first `prefixes[i]` features reconstruct
    /// the input alone; ascending, all less than `numLatents`.
    public var prefixes: [Int] = []

    /// The published defaults beside these. Not checked: see `problem`.
    public init(inputWidth: Int, numLatents: Int, k: Int, rule: SelectionRule = .topK) {
        self.inputWidth = inputWidth
        self.numLatents = numLatents
        self.k = k
        self.rule = rule
    }

    /// Reads `cfg.json`. Of every key it is known what it does (`ConfigurationKey.sparsify`).
    ///
    /// - Throws: `FileFailure` naming file and key; also for keys that change the function in a way that is not computed
    ///   here, or that are not known.
    public init(_ file: ConfigFile) throws(FileFailure) {
        try ConfigurationKey.check(file, ConfigurationKey.sparsify)
        inputWidth = try file.size("d_in")
        let latents = try file.int("num_latents", default: 0)
        let expansion = try file.size("expansion_factor", default: 32)
        numLatents = latents == 0 ? inputWidth * expansion : try file.size("num_latents")
        k = try file.size("k", default: 32)
        multiTopK = try file.bool("multi_topk", default: false)
        inputUnitNorm = try file.bool("input_unit_norm", default: false)
        normalizeDecoder = try file.bool("normalize_decoder", default: true)
        prefixes = try file.ints("prefixes", default: [])
        let batch = try file.bool("batch_topk", default: false)
        let sample = try file.bool("sample_topk", default: false)
        rule = batch ? .batchTopK : sample ? .sampleTopK : .topK
        let activation = try file.string("activation", default: rule.rawValue)
        guard let named = SelectionRule(rawValue: activation) else {
            let known = SelectionRule.allCases.map(\.rawValue).joined(separator: ", ")
            throw file.bad("activation", expected: "one of \(known)", found: activation)
        }
        rule = named
        if batch && sample { throw file.bad("sample_topk", expected: "false beside batch_topk", found: "true") }
        if let problem = problem() { throw file.bad(problem.key, expected: problem.expected, found: problem.found) }
    }

    /// Far beyond any autoencoder; sizes below it can be multiplied.
    private static let mostLatents = 1 << 30
    /// Of a sample: a latent of 64 × 64, Stable Diffusion 1.x's own.
    private static let mostPositions = 4096

    /// A combination that has no meaning: what, and what it should be.
    ///
    /// - Parameter latents: what a file, or whoever asks, calls the number of features.
    public func problem(latents: String = "num_latents") -> (key: String, expected: String, found: String)? {
        if numLatents > Self.mostLatents { return (latents, "at most \(Self.mostLatents)", "\(numLatents)") }
        if rule == .sampleTopK {
            let most = numLatents * Self.mostPositions
            if k > most { return ("k", "at most \(Self.mostPositions) · \(latents) = \(most)", "\(k)") }
        } else if rule.countsK && k > numLatents {
            return ("k", "at most \(latents) = \(numLatents)", "\(k)")
        }
        if multiTopK && !rule.countsK { return ("multi_topk", "false with activation \(rule.rawValue)", "true") }
        if multiTopK && rule != .sampleTopK && 4 * k > numLatents {
            return ("k", "at most \(latents) / 4 with multi_topk", "\(k)")
        }
        if prefixes != prefixes.sorted() || Set(prefixes).count != prefixes.count
            || !prefixes.allSatisfy({ (1..<numLatents).contains($0) })
        {
            return ("prefixes", "ascending numbers below \(latents) = \(numLatents)", "\(prefixes)")
        }
        return nil
    }

    /// As in `cfg.json`.
    public var json: JSON {
        var object = JSONObject()
        object["d_in"] = .integer(inputWidth)
        let whole = numLatents % inputWidth == 0
        object["expansion_factor"] = .integer(max(1, numLatents / inputWidth))
        object["num_latents"] = .integer(whole ? 0 : numLatents)
        object["k"] = .integer(k)
        object["normalize_decoder"] = .bool(normalizeDecoder)
        object["batch_topk"] = .bool(rule == .batchTopK)
        object["sample_topk"] = .bool(rule == .sampleTopK)
        object["input_unit_norm"] = .bool(inputUnitNorm)
        object["multi_topk"] = .bool(multiTopK)
        if !rule.countsK { object["activation"] = .string(rule.rawValue) }
        if !prefixes.isEmpty { object["prefixes"] = .array(prefixes.map { .integer($0) }) }
        return .object(object)
    }
}
