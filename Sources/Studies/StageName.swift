/// The stages of a study, in their order. What each is called stands here and nowhere else.
public enum StageName: String, Sendable, CaseIterable {
    case capture, analysis, prior, pool, search, dream, reference, steer, measure, map

    /// The command that runs the stage.
    public var command: String { self == .analysis ? "analyze" : rawValue }

    /// Whether shards divide it; analysis has a unit per site only.
    var isSharded: Bool { self != .analysis }
}
