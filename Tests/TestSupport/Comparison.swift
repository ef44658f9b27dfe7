import Testing

/// How far values are from what they should be. A NaN or an infinity on either side, and a different count, is an
/// infinite error.
public struct Comparison: Sendable {
    /// ‖actual − expected‖ / ‖expected‖ (Euclidean; ‖actual‖ when all expected are zero).
    public let relative: Double
    /// The largest |actual − expected|, over the root mean square of expected.
    public let worst: Double
    public let worstIndex: Int

    public init(_ actual: [Double], _ expected: [Double]) {
        var (errors, norm, largest, index) = (0.0, 0.0, 0.0, 0)
        for (i, (a, e)) in zip(actual, expected).enumerated() {
            let error = a.isFinite && e.isFinite ? abs(a - e) : .infinity
            errors += error * error
            norm += e * e
            if error > largest { (largest, index) = (error, i) }
        }
        let counted = actual.count == expected.count
        relative = counted ? (errors / (norm > 0 ? norm : 1)).squareRoot() : .infinity
        let mean = norm > 0 ? (norm / Double(expected.count)).squareRoot() : 1
        worst = counted ? largest / mean : .infinity
        worstIndex = index
    }
}

/// Records an issue unless ‖actual − expected‖ ≤ tolerance · ‖expected‖.
public func expectClose(
    _ actual: [Double], _ expected: [Double], tolerance: Double, _ name: @autoclosure () -> String = "",
    sourceLocation: SourceLocation = #_sourceLocation
) {
    let comparison = Comparison(actual, expected)
    if comparison.relative <= tolerance { return }
    let at = comparison.worstIndex
    let values = at < min(actual.count, expected.count) ? "\(actual[at]) instead of \(expected[at])" : "none"
    Issue.record(
        """
        \(name()): relative error \(comparison.relative) > \(tolerance); counts \(actual.count), \(expected.count); \
        worst at \(at): \(values)
        """,
        sourceLocation: sourceLocation)
}

public func expectClose(
    _ actual: [Float], _ expected: [Double], tolerance: Double, _ name: @autoclosure () -> String = "",
    sourceLocation: SourceLocation = #_sourceLocation
) {
    expectClose(actual.map(Double.init), expected, tolerance: tolerance, name(), sourceLocation: sourceLocation)
}

public func expectClose(
    _ actual: [Float], _ expected: [Float], tolerance: Double, _ name: @autoclosure () -> String = "",
    sourceLocation: SourceLocation = #_sourceLocation
) {
    expectClose(
        actual.map(Double.init), expected.map(Double.init), tolerance: tolerance, name(),
        sourceLocation: sourceLocation)
}

/// Records an issue unless every element is within `absolute + relative·|expected|` of its own expected value.
public func expectEachClose(
    _ actual: [Float], _ expected: [Double], absolute: Double = 0, relative: Double = 0,
    _ name: @autoclosure () -> String = "", sourceLocation: SourceLocation = #_sourceLocation
) {
    var worst: (excess: Double, index: Int)?
    for (i, (a, e)) in zip(actual, expected).enumerated() {
        let error = a.isFinite && e.isFinite ? abs(Double(a) - e) : .infinity
        let excess = error - (absolute + relative * abs(e))
        if excess > worst?.excess ?? 0 { worst = (excess, i) }
    }
    if actual.count != expected.count {
        Issue.record("\(name()): \(actual.count) values instead of \(expected.count)", sourceLocation: sourceLocation)
    } else if let (excess, i) = worst {
        Issue.record(
            "\(name()): at \(i) \(actual[i]) instead of \(expected[i]), beyond the tolerance by \(excess)",
            sourceLocation: sourceLocation)
    }
}

/// Records an issue unless both hold the same bits.
public func expectIdentical(
    _ a: [Float], _ b: [Float], _ name: @autoclosure () -> String = "",
    sourceLocation: SourceLocation = #_sourceLocation
) {
    let different = zip(a, b).enumerated().first { $1.0.bitPattern != $1.1.bitPattern }
    if let (index, values) = different {
        Issue.record("\(name()): at \(index) \(values.0) and \(values.1)", sourceLocation: sourceLocation)
    } else if a.count != b.count {
        Issue.record("\(name()): \(a.count) and \(b.count) values", sourceLocation: sourceLocation)
    }
}
