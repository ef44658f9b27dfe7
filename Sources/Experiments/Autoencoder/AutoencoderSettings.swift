import Files
import SparseAutoencoders

/// The architecture of an autoencoder and its training, for a layer of any width.
public struct AutoencoderSettings: Sendable, Equatable {
    /// The rule that selects activations.
    public var rule = SelectionRule.batchTopK
    /// Features per channel, unless `latents` gives their number.
    public var expansion = 16
    /// Features; nil: `expansion` for each channel of the layer.
    public var latents: Int?
    /// Active features per token (per sample for `sampleTopK`).
    public var k = 32
    /// Whether 4k features reconstruct as well.
    public var multiTopK = false
    /// Whether every token is brought to mean 0 and deviation 1 first.
    public var inputUnitNorm = false
    /// Matryoshka: the first so many features reconstruct alone; ascending.
    public var prefixes: [Int] = []
    /// Batches, updates, learning rate, loss weights and seed.
    public var training = TrainingOptions()

    /// The defaults: BatchTopK, 16 features per channel, 32 of them active.
    public init() {}

    /// The configuration of an autoencoder for `width` channels.
    ///
    /// - Throws: `SimpleFailure(.usage)` for a combination that has no meaning, or a batch that is too large
    ///   for so many features.
    public func configuration(width: Int) throws -> SAEConfiguration {
        let (product, overflow) = width.multipliedReportingOverflow(by: expansion)
        var configuration = SAEConfiguration(
            inputWidth: width, numLatents: latents ?? (overflow ? .max : product), k: k, rule: rule)
        configuration.multiTopK = multiTopK
        configuration.inputUnitNorm = inputUnitNorm
        configuration.prefixes = prefixes
        if let problem = configuration.problem(latents: "latents") {
            throw SimpleFailure(.usage, "\(problem.key) \(problem.found): expected \(problem.expected)")
        }
        try Self.checkBatch(training.batchTokens, latents: configuration.numLatents)
        return configuration
    }

    /// Selection numbers the activations of a batch with 32 bits.
    ///
    /// - Throws: `SimpleFailure(.usage)` if `tokens` × `latents` is 2³² or more.
    public static func checkBatch(_ tokens: Int, latents: Int) throws {
        let most = Int(UInt32.max) / max(1, latents)
        guard tokens <= most else {
            throw SimpleFailure(.usage, "batch of \(tokens) tokens: expected at most \(most) with \(latents) features")
        }
    }

    /// Whether batches are made of whole samples.
    var keepsSamples: Bool { rule == .sampleTopK }
}
