/// Which of a token's activations are kept.
public enum SelectionRule: String, Sendable, CaseIterable {
    /// The k largest of each token.
    case topK = "topk"
    /// The k·n largest of a batch of n tokens; the k largest of each token at inference.
    case batchTopK = "batch_topk"
    /// The k largest of each sample, all its positions together; the k largest of each token at inference.
    case sampleTopK = "sample_topk"
    /// All positive ones; sparse because of an L1 penalty.
    case relu
    /// All above a learned threshold of each feature (Rajamanoharan et al., arXiv 2407.14435).
    case jumpReLU = "jumprelu"

    /// Whether a number k of activations is kept.
    public var countsK: Bool { self == .topK || self == .batchTopK || self == .sampleTopK }
}
