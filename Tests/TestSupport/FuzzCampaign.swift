import Foundation
import Tensors

/// Feeds damaged inputs to a parser, which may accept them or throw a `Failure`, and nothing else: no trap, no other
/// error, no hang, no memory beyond the input's size class.
///
/// Input `index` of a campaign is a function of the campaign's name, `index` and the corpus, so a crash is repeated by
/// running again. `tools/fuzz` sets `LVO_FUZZ_INPUTS` for long campaigns; without it they are short.
public struct FuzzCampaign {
    public let name: String
    public let corpus: [[UInt8]]
    /// Byte strings that mean something in the format.
    public let words: [[UInt8]]

    public struct Result: Sendable {
        public var accepted = 0
        public var refused = 0
        /// Errors that were not a `Failure`, with the input's number.
        public var unexpected: [String] = []
        /// Inputs that took longer than a second.
        public var slow: [Int] = []
    }

    public init(_ name: String, corpus: [[UInt8]], words: [String] = []) {
        self.name = name
        self.corpus = corpus
        self.words = words.map { Array($0.utf8) }
    }

    /// What a long campaign asked for; nil in ordinary test runs.
    public static var longCount: Int? { ProcessInfo.processInfo.environment["LVO_FUZZ_INPUTS"].flatMap(Int.init) }

    /// Runs `count` inputs (`longCount` if set), the undamaged corpus first.
    public func run(_ count: Int, parse: ([UInt8]) throws -> Void) -> Result {
        var result = Result()
        let seed = name.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        for index in 0..<max(Self.longCount ?? count, corpus.count) {
            var mutator = Mutator(seed: seed &+ UInt64(index) &* 0x1_0000_0001)
            let base = corpus[index % corpus.count]
            let input = index < corpus.count ? base : mutator.mutate(base, others: corpus, words: words)
            let start = ContinuousClock.now
            do {
                try parse(input)
                result.accepted += 1
            } catch is any Failure {
                result.refused += 1
            } catch {
                result.unexpected.append("\(name) \(index): \(error)")
            }
            if ContinuousClock.now - start > .seconds(1) { result.slow.append(index) }
        }
        return result
    }

    /// The most memory this process has held so far, in bytes (Linux; 0 elsewhere).
    public static var peakMemory: Int {
        guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
            let kilobytes = line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Int($0) })
        else { return 0 }
        return kilobytes << 10
    }
}
