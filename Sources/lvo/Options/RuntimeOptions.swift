import ArgumentParser
import Files
import Foundation
import Ops
import Parallel

/// Options of the engine.
struct RuntimeOptions: ParsableArguments {
    @Option(help: "Threads. Default: LVO_THREADS, else physical cores within affinity mask and cgroup quota.")
    var threads: Int?

    static var environment: [String: String] { ProcessInfo.processInfo.environment }

    func validate() throws {
        if let threads, threads < 1 { throw ValidationError("--threads \(threads): expected at least 1") }
    }

    /// - Throws: `SimpleFailure(.usage)` if LVO_THREADS or LVO_ISA is set to something that cannot be.
    func engine() throws -> Engine {
        let environment = Self.environment
        if let text = environment["LVO_THREADS"], (Int(text) ?? 0) < 1 {
            throw SimpleFailure(.usage, "LVO_THREADS is '\(text)': expected a number of at least 1; unset it or fix it")
        }
        return try Engine(
            instructionSet: environment["LVO_ISA"],
            threads: threads ?? ThreadCount.detect(environment: environment).count)
    }
}

/// A budget for the whole process.
struct MemoryOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Memory the process may use, as 3G or 800M: which layers keep activations is chosen by it.",
            valueName: "size"))
    var memory: MemorySize?
}

/// A number of bytes: `3G`, `1.5GB`, `800M`, `2GiB`; K, M, G are powers of 1000, Ki, Mi, Gi of 1024.
struct MemorySize: ExpressibleByArgument, Equatable {
    let bytes: Int

    init?(argument: String) {
        var text = argument.uppercased()
        if text.hasSuffix("B") { text.removeLast() }
        let binary = text.hasSuffix("I")
        if binary { text.removeLast() }
        let powers: [Character: Double] = ["K": 1, "M": 2, "G": 3, "T": 4]
        var power = 0.0
        if let last = text.last, let known = powers[last] {
            power = known
            text.removeLast()
        } else if binary {
            return nil
        }
        guard let number = Double(text), number > 0, number < 1e6 * 1e12 else { return nil }
        let bytes = number * pow(binary ? 1024 : 1000, power)
        guard bytes >= 1, bytes < 1e18 else { return nil }
        self.bytes = Int(bytes)
    }
}
