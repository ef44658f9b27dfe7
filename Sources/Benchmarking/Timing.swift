/// Seconds that one thing took, over several repeats, and the work in it.
public struct Timing: Sendable {
    /// What was timed.
    public let name: String
    /// Seconds of each repeat, in their order.
    public let seconds: [Double]
    /// Floating-point operations of the plain algorithm; 0 where bytes count instead.
    public let flops: Double
    /// Bytes read and written at least once.
    public let bytes: Double

    /// Times `body` after calling it once to warm up.
    ///
    /// - Precondition: `repeats` is at least 1.
    public init(
        _ name: String, repeats: Int, flops: Double = 0, bytes: Double = 0, _ body: () throws -> Void
    ) rethrows {
        precondition(repeats > 0, "\(repeats) repeats of \(name)")
        try body()
        let seconds = try (0..<repeats).map { _ in try Self.time(body) }
        self.init(name, seconds: seconds, flops: flops, bytes: bytes)
    }

    /// What was timed elsewhere.
    ///
    /// - Precondition: `seconds` is not empty.
    public init(_ name: String, seconds: [Double], flops: Double = 0, bytes: Double = 0) {
        precondition(!seconds.isEmpty, "no times of \(name)")
        (self.name, self.seconds, self.flops, self.bytes) = (name, seconds, flops, bytes)
    }

    /// Seconds that `body` takes once.
    public static func time(_ body: () throws -> Void) rethrows -> Double {
        let start = ContinuousClock.now
        try body()
        return (ContinuousClock.now - start) / .seconds(1)
    }

    /// The middle of the times; of an even number, the larger of the two.
    public var median: Double { seconds.sorted()[seconds.count / 2] }
    /// The shortest of the times.
    public var minimum: Double { seconds.min() ?? 0 }
    /// 10⁹ floating-point operations a second, by the median.
    public var gflops: Double { flops / median / 1e9 }
}
