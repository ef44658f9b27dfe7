import Files
import Foundation
import Testing

/// Memory for one input at a time that ends at an unreadable page.
public final class GuardedInput {
    private static let capacity = 1 << 20
    private let region: UnsafeMutableRawPointer
    private var count = 0

    init() {
        region = mmap(nil, Self.capacity + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        precondition(region != MAP_FAILED && mprotect(region + Self.capacity, 4096, PROT_NONE) == 0, "no memory")
    }

    deinit {
        munmap(region, Self.capacity + 4096)
    }

    func fill(_ input: [UInt8]) {
        precondition(input.count <= Self.capacity, "input of \(input.count) bytes")
        count = input.count
        (region + Self.capacity - count).copyMemory(from: input, byteCount: count)
    }

    public var bytes: UnsafeRawBufferPointer { .init(start: region + Self.capacity - count, count: count) }
}

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
        /// Inputs that took more than a second of processor time. (Time by the clock also passes while a machine is busy.)
        public var slow: [Int] = []
    }

    public init(_ name: String, corpus: [[UInt8]], words: [String] = []) {
        self.name = name
        self.corpus = corpus
        self.words = words.map { Array($0.utf8) }
    }

    /// What a long campaign asked for; nil in ordinary test runs.
    public static var longCount: Int? { ProcessInfo.processInfo.environment["LVO_FUZZ_INPUTS"].flatMap(Int.init) }

    /// Runs `count` inputs, the undamaged corpus first. The bytes given to `parse` end where a page begins that may
    /// not be read, so that a read beyond them is a crash, and are overwritten afterwards.
    ///
    /// - Parameter wrap: puts a damaged input inside a sound container.
    public func run(
        _ count: Int, wrap: ([UInt8]) -> [UInt8] = { $0 }, parse: (GuardedInput) throws -> Void
    ) -> Result {
        let guarded = GuardedInput()
        var result = Result()
        let seed = Text.fnv1a(name.utf8)
        for index in 0..<max(count, corpus.count) {
            var mutator = Mutator(seed: seed &+ UInt64(index) &* 0x1_0000_0001)
            let base = corpus[index % corpus.count]
            guarded.fill(wrap(index < corpus.count ? base : mutator.mutate(base, others: corpus, words: words)))
            let start = Self.processorSeconds
            do {
                try parse(guarded)
                result.accepted += 1
            } catch is any Failure {
                result.refused += 1
            } catch {
                result.unexpected.append("\(name) \(index): \(error)")
            }
            if Self.processorSeconds - start > 1 { result.slow.append(index) }
        }
        return result
    }

    /// Runs the campaign as a test: `count` inputs ordinarily, in a long campaign what was asked for.
    ///
    /// - Parameter share: part of a long campaign's number, less than 1 where an input is a whole model.
    public func check(
        _ count: Int, share: Double = 1, wrap: ([UInt8]) -> [UInt8] = { $0 }, parse: (GuardedInput) throws -> Void
    ) {
        let isLong = Self.longCount != nil
        if isLong { Self.forgetPeakMemory() }
        let before = Self.peakMemory
        let result = run(Self.longCount.map { Int(Double($0) * share) } ?? count, wrap: wrap, parse: parse)
        #expect(result.unexpected.isEmpty)
        #expect(result.slow.isEmpty, "\(name)")
        // Both outcomes must occur, or the campaign does not reach beyond the first check.
        #expect(result.accepted > 0 && result.refused > 0, "\(name)")
        guard isLong else { return }
        // Inputs are below 200 KB; other tests do not run beside a long campaign.
        let grown = Self.peakMemory - before
        #expect(grown < 256 << 20, "\(name)")
        print("\(name): \(result.accepted) accepted, \(result.refused) refused, \(grown >> 20) MB")
    }

    /// The files of a folder in the order of their names.
    public static func corpus(folder: String) throws -> [[UInt8]] {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        return try names.map { [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\($0)"))) }
    }

    /// Of this thread.
    private static var processorSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// From here on, the peak is of what follows (Linux; nothing elsewhere).
    private static func forgetPeakMemory() {
        try? "5".write(toFile: "/proc/self/clear_refs", atomically: false, encoding: .utf8)
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
