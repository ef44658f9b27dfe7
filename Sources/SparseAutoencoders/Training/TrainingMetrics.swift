import Files

/// One line of a run's log.
public struct TrainingMetrics: Sendable {
    /// Updates done, this one included.
    public let step: Int
    /// Tokens so far.
    public let tokens: Int
    /// The batch's losses and counts.
    public let report: LossReport
    /// Of this update, after schedule and warm-up.
    public let learningRate: Double
    /// Before clipping.
    public let gradientNorm: Double
    /// Features, `L`.
    public let numLatents: Int
    /// Speed of this update.
    public var tokensPerSecond = 0.0

    /// Names of `values`, the log's header.
    public static let columns = [
        "step", "tokens", "loss", "fvu", "explained_variance", "l0", "positives", "dead_percent", "fired_percent", "auxk",
        "multi_topk_fvu", "nested_fvu", "penalty", "learning_rate", "gradient_norm", "tokens_per_second",
    ]

    /// Dead latents before this update.
    public var deadPercent: Double { 100 * Double(report.deadCount) / Double(numLatents) }
    /// Features that this batch selected.
    public var firedPercent: Double { 100 * Double(report.fired.count { $0 }) / Double(numLatents) }

    /// In the order of `columns`.
    public var values: [Double] {
        [
            Double(step), Double(tokens), report.loss, report.fvu, report.explainedVariance, report.l0, report.positives,
            deadPercent, firedPercent, report.auxk, report.multiTopK, report.nested, report.penalty,
            learningRate, gradientNorm, tokensPerSecond,
        ]
    }

    /// A line of `metrics.ndjson`.
    public var json: JSON {
        JSON(zip(Self.columns, values).map { ($0, Int(exactly: $1).map { .integer($0) } ?? .number($1)) })
    }

    /// A line of `metrics.csv`.
    public var csv: String {
        values.map { value in Int(exactly: value).map { String($0) } ?? "\(value)" }.joined(separator: ",")
    }
}
