import Foundation

/// Numbers about the results of an optimization, from what was observed of them (docs/measures.md).
package enum Measures {
    /// The names of those that tell most, in the order in which tables list them; the others follow by name.
    static let leading = [
        "recognized", "recognized_of_examples", "recognized_of_others", "identification", "identification_of_examples",
        "identification_by_chance", "naturalness", "retention", "retention_of_others",
        "second_retention", "second_retention_of_examples", "second_retention_of_others", "second_cosine",
        "causal_effect", "steered_recognized", "causal_likeness", "causal_likeness_of_others", "reach",
    ]

    /// Names in the order of tables.
    package static func ordered(_ names: some Sequence<String>) -> [String] {
        names.map { (leading.firstIndex(of: $0) ?? leading.count, $0) }.sorted { $0 < $1 }.map(\.1)
    }

    /// Final activation divided by the largest of the dataset at the time step; nil if that is not positive.
    package static func reach(activation: Float, largest: Float) -> Double? {
        largest > 0 ? Double(activation) / Double(largest) : nil
    }

    /// 1 + the number of channels with a larger value.
    package static func rank(of channel: Int, in values: [Float]) -> Int {
        1 + values.filter { $0 > values[channel] }.count
    }

    /// How many standard deviations (n − 1) the channel lies above the mean over channels; 0 if all are equal.
    package static func zScore(of channel: Int, in values: [Float]) -> Double {
        let numbers = values.map { Double($0) }
        let mean = numbers.reduce(0, +) / Double(numbers.count)
        let variance = numbers.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(max(1, numbers.count - 1))
        return variance > 0 ? (numbers[channel] - mean) / variance.squareRoot() : 0
    }

    /// Cosine similarity; 0 if either is zero.
    package static func cosine(_ a: [Float], _ b: [Float]) -> Double {
        precondition(a.count == b.count, "cosine of \(a.count) and \(b.count) numbers")
        var (ab, aa, bb) = (0.0, 0.0, 0.0)
        for i in a.indices {
            ab += Double(a[i]) * Double(b[i])
            aa += Double(a[i]) * Double(a[i])
            bb += Double(b[i]) * Double(b[i])
        }
        return aa > 0 && bb > 0 ? ab / (aa * bb).squareRoot() : 0
    }

    /// The mean cosine similarity of every result with every example.
    package static func agreement(_ results: [[Float]], _ examples: [[Float]]) -> Double? {
        mean(results.flatMap { result in examples.map { cosine(result, $0) } })
    }

    /// The mean of 1 − cosine over pairs of results, as deviations from the dataset's means: 0 if all show the same,
    /// about 1 for pictures that have nothing in common; nil for fewer than two. Without the means taken off it would
    /// be near 0 always: a few features are strong in every picture.
    package static func diversity(_ results: [[Float]], around means: [Float]) -> Double? {
        let deviations = results.map { zip($0, means).map { $0 - $1 } }
        return mean(
            deviations.indices.flatMap { i in
                (i + 1..<deviations.count).map { 1 - cosine(deviations[i], deviations[$0]) }
            })
    }

    /// The smallest activation among the results divided by the largest: 1 if every seed arrives as far; nil if none
    /// is positive.
    package static func stability(_ activations: [Float]) -> Double? {
        guard let least = activations.min(), let most = activations.max(), most > 0 else { return nil }
        return Double(max(least, 0)) / Double(most)
    }

    package static func mean(_ values: [Double]) -> Double? {
        values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    }

    /// The value below which a share of the values lies, interpolated linearly (numpy's default).
    package static func quantile(_ share: Double, of values: [Double]) -> Double? {
        guard !values.isEmpty else { return nil }
        let sorted = values.sorted()
        let position = share * Double(sorted.count - 1)
        let lower = Int(position)
        let upper = min(lower + 1, sorted.count - 1)
        return sorted[lower] + (position - Double(lower)) * (sorted[upper] - sorted[lower])
    }

    /// The factor with the value that most of the pictures share, and their share. Factors and values in alphabetical
    /// order decide ties. Nil if no picture has factors.
    package static func purity(_ factors: [[String: String]]) -> (factor: String, value: String, share: Double)? {
        var best: (factor: String, value: String, share: Double)?
        for factor in Set(factors.flatMap(\.keys)).sorted() {
            let values = factors.compactMap { $0[factor] }
            for value in Set(values).sorted() {
                let share = Double(values.filter { $0 == value }.count) / Double(factors.count)
                if share > best?.share ?? 0 { best = (factor, value, share) }
            }
        }
        return best
    }
}
