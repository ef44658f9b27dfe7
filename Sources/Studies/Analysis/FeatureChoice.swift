import Files
import Foundation

/// Which channels or features are looked at closely.
///
///     all · none · 742 · 10-19 · most-active:20 · most-localized:20 · rarest:20 · word:red:5
///
/// separated by commas, are united in that order without repetition. Ranks consider live ones only: those that were
/// among the strongest at least once. Of equal rank, the lower index comes first.
public struct FeatureChoice: Sendable, Equatable {
    enum Part: Sendable, Equatable {
        case all
        case range(ClosedRange<Int>)
        case rank(Rank, Int)
        case word(String, Int)
    }

    enum Rank: String, CaseIterable {
        /// In the largest share of generations among the strongest, over all time steps.
        case mostActive = "most-active"
        /// Activity over the fewest time steps: the smallest e^H, H the entropy of the profile.
        case mostLocalized = "most-localized"
        /// In the fewest generations among the strongest.
        case rarest
    }

    let parts: [Part]

    /// - Throws: `SimpleFailure(.usage)` naming the part that is not understood.
    public init(_ text: String) throws {
        parts = try text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.compactMap { part in
            try Self.parse(part)
        }
    }

    private static func parse(_ text: String) throws -> Part? {
        if text == "none" || text.isEmpty { return nil }
        if text == "all" { return .all }
        let fields = text.split(separator: ":").map(String.init)
        if fields.count == 2, let rank = Rank(rawValue: fields[0]), let count = Int(fields[1]), count > 0 {
            return .rank(rank, count)
        }
        if fields.count == 3, fields[0] == "word", let count = Int(fields[2]), count > 0 {
            return .word(fields[1].lowercased(), count)
        }
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
        if ends.count == 1, let index = ends[0], index >= 0 { return .range(index...index) }
        if ends.count == 2, let first = ends[0], let last = ends[1], first <= last { return .range(first...last) }
        throw SimpleFailure(.usage, "choice \"\(text)\": expected \(expected)")
    }

    static let expected = "all, none, 742, 10-19, most-active:20, most-localized:20, rarest:20, word:red:5 or several of them"

    /// - Throws: `SimpleFailure(.usage)` for an index that there is none of.
    package func select(from analysis: SiteAnalysis, words: ExampleWords) throws -> [Int] {
        var seen: Set<Int> = []
        return try parts.flatMap { try select($0, analysis, words) }.filter { seen.insert($0).inserted }
    }

    private func select(_ part: Part, _ analysis: SiteAnalysis, _ words: ExampleWords) throws -> [Int] {
        let live = (0..<analysis.channels).filter(analysis.isLive)
        switch part {
        case .all: return Array(0..<analysis.channels)
        case .range(let range):
            guard range.upperBound < analysis.channels else {
                throw SimpleFailure(.usage, "choice \(range.upperBound): there are 0 to \(analysis.channels - 1)")
            }
            return Array(range)
        case .rank(let rank, let count):
            return Self.lowest(live, count) { Self.score($0, rank, analysis) }
        case .word(let word, let count):
            let bearing = live.filter { words.share(of: word, $0) > words.baseShare(of: word) }
            return Self.lowest(bearing, count) { -words.evidence(of: word, $0) }
        }
    }

    private static func lowest(_ indices: [Int], _ count: Int, _ score: (Int) -> Double) -> [Int] {
        let scored = indices.map { (score: score($0), index: $0) }
        return scored.sorted { ($0.score, $0.index) < ($1.score, $1.index) }.prefix(count).map(\.index)
    }

    private static func score(_ channel: Int, _ rank: Rank, _ analysis: SiteAnalysis) -> Double {
        let counts = analysis.profile(channel).counts
        let total = Double(counts.reduce(0, +))
        switch rank {
        case .mostActive: return -total
        case .rarest: return total
        case .mostLocalized:
            return counts.reduce(0.0) { sum, count in
                let share = Double(count) / total
                return share > 0 ? sum - share * log(share) : sum
            }
        }
    }
}

/// Words of the prompts of a channel's strongest examples.
package struct ExampleWords {
    private let study: Study
    private let analysis: SiteAnalysis
    private let wordsOfPrompt: [Set<String>]
    private let base: [String: Double]
    private let examples: Int

    /// The number of strongest examples looked at.
    static let exampleCount = 12

    package init(_ study: Study, _ site: Site) throws {
        self.study = study
        analysis = try study.analysis(site)
        examples = Self.exampleCount
        wordsOfPrompt = study.prompts.map { Self.words($0.text) }
        var counts: [String: Double] = [:]
        for words in wordsOfPrompt { for word in words { counts[word, default: 0] += 1 } }
        base = counts.mapValues { [count = Double(study.prompts.count)] in $0 / count }
    }

    static func words(_ text: String) -> Set<String> {
        Set(text.lowercased().split { !$0.isLetter && !$0.isNumber }.map(String.init))
    }

    /// The share of all prompts that have the word.
    package func baseShare(of word: String) -> Double { base[word] ?? 0 }

    /// The share of the channel's strongest examples whose prompts have the word.
    package func share(of word: String, _ channel: Int) -> Double {
        let prompts = strongest(channel)
        return prompts.isEmpty ? 0 : Double(prompts.filter { $0.contains(word) }.count) / Double(prompts.count)
    }

    /// The share, drawn towards that of all prompts as if four more examples had it: one example proves little.
    func evidence(of word: String, _ channel: Int) -> Double {
        let count = Double(strongest(channel).count)
        return (share(of: word, channel) * count + 4 * baseShare(of: word)) / (count + 4)
    }

    /// Up to `limit` words that at least half of the strongest examples share, and half as many again as prompts in
    /// general (which leaves out articles and the like): by share · ln(share/base). None from fewer than three examples.
    func shared(_ channel: Int, limit: Int = 3) -> [String] {
        let prompts = strongest(channel)
        guard prompts.count >= 3 else { return [] }
        var counts: [String: Double] = [:]
        for words in prompts { for word in words { counts[word, default: 0] += 1 } }
        let scored = counts.compactMap { word, count -> (score: Double, word: String)? in
            let share = count / Double(prompts.count)
            let lift = share / max(baseShare(of: word), 1e-9)
            return share >= 0.5 && lift >= 1.5 ? (share * log(lift), word) : nil
        }
        return scored.sorted { ($1.score, $0.word) < ($0.score, $1.word) }.prefix(limit).map(\.word)
    }

    private func strongest(_ channel: Int) -> [Set<String>] {
        return analysis.examples(channel, step: analysis.exampleStep(channel)).prefix(examples).map {
            wordsOfPrompt[$0.generation / study.generationsPerPrompt]
        }
    }
}
