import Synchronization

/// How long each pass of a training step takes, added up over steps: what `lvo bench sae` prints.
public final class PassTimes: Sendable {
    /// One pass of a step.
    public struct Pass: Sendable {
        /// What it does.
        public let name: String
        /// Seconds of each call.
        public var seconds: [Double] = []
        /// Floating-point operations, and bytes that are read and written at least, of the last call.
        public var flops = 0.0
        /// Bytes read and written at least, of the last call.
        public var bytes = 0.0
    }

    private let state = Mutex<[Pass]>([])

    /// Nothing measured yet.
    public init() {}

    /// In the order of their first calls.
    public var passes: [Pass] { state.withLock { $0 } }

    /// Runs `body` and times it. Work may be counted after the fact.
    public func measure<Result>(
        _ name: String, flops: @autoclosure () -> Double = 0, bytes: @autoclosure () -> Double = 0,
        _ body: () throws -> Result
    ) rethrows -> Result {
        let start = ContinuousClock.now
        let result = try body()
        let (seconds, flops, bytes) = ((ContinuousClock.now - start) / .seconds(1), flops(), bytes())
        state.withLock { passes in
            let index = passes.firstIndex { $0.name == name } ?? passes.count
            if index == passes.count { passes.append(Pass(name: name)) }
            passes[index].seconds.append(seconds)
            (passes[index].flops, passes[index].bytes) = (flops, bytes)
        }
        return result
    }
}

extension PassTimes? {
    /// Times `body` if somebody wants to know.
    func measure<Result>(
        _ name: String, flops: @autoclosure () -> Double = 0, bytes: @autoclosure () -> Double = 0,
        _ body: () throws -> Result
    ) rethrows -> Result {
        guard let self else { return try body() }
        return try self.measure(name, flops: flops(), bytes: bytes(), body)
    }
}
