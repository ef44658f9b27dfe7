/// How far a dream may be taken for what its feature looks for, by its measures (docs/gallery.md).
enum Trust {
    /// Below this a measure speaks against the dream; and why.
    private static let limits: [(measure: String, limit: Double, doubt: String)] = [
        ("recognized", 0.5, "most of its results do not show what its strongest examples share"),
        ("identification", 0.5, "other layers find most of its results more like the examples of other features"),
        ("naturalness", 0.1, "nine in ten pictures of the dataset look more natural to the model"),
        ("retention", 0.5, "less than half of the activation is left in the picture that is shown"),
    ]

    /// Why not to trust it, by the measures that there are; empty if nothing speaks against it.
    static func doubts(_ measures: [(name: String, value: Double?)]) -> [String] {
        limits.filter { limit in value(limit.measure, measures).map { $0 < limit.limit } ?? false }.map(\.doubt)
    }

    /// What galleries are ordered by: the mean of recognition and identification, or the one there is; −1 without them.
    static func clarity(_ measures: [(name: String, value: Double?)]) -> Double {
        Measures.mean(["recognized", "identification"].compactMap { value($0, measures) }) ?? -1
    }

    private static func value(_ name: String, _ measures: [(name: String, value: Double?)]) -> Double? {
        measures.first { $0.name == name }?.value ?? nil
    }
}
