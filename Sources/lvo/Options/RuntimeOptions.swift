import ArgumentParser
import Files
import Foundation
import Ops
import Parallel

/// Options of the engine.
struct RuntimeOptions: ParsableArguments {
    @Option(help: "Threads. Default: LVO_THREADS, else physical cores within affinity mask and cgroup quota.")
    var threads: Int?

    @Flag(help: "Keep each thread on a core of its own: for processes that share a machine by cores.")
    var pin = false

    static var environment: [String: String] { ProcessInfo.processInfo.environment }

    func validate() throws {
        if let threads, threads < 1 { throw ValidationError("--threads \(threads): expected at least 1") }
    }

    /// - Throws: `SimpleFailure(.usage)` if LVO_THREADS or LVO_ISA is set to something that cannot be, or if this CPU
    ///   lacks the precision.
    func engine(_ precision: PrecisionOptions? = nil) throws -> Engine {
        let environment = Self.environment
        if let text = environment["LVO_THREADS"], (Int(text) ?? 0) < 1 {
            throw SimpleFailure(.usage, "LVO_THREADS is '\(text)': expected a number of at least 1; unset it or fix it")
        }
        return try Engine(
            instructionSet: environment["LVO_ISA"],
            threads: threads ?? ThreadCount.detect(environment: environment).count,
            pins: pin, precision: precision?.precision.resolved(instructionSet: environment["LVO_ISA"]) ?? .float32)
    }
}

/// Which precision the U-Net, the VAE's decoder and autoencoders compute in.
struct PrecisionOptions: ParsableArguments {
    @Option(
        help: """
            Precision of the products of the U-Net, the VAE's decoder and autoencoders: f32; bf16, faster where the CPU has \
            bfloat16 instructions, and refused elsewhere; auto, the fastest this CPU has. The rest of a computation, such \
            as which features are selected, is float32 in any of them.
            """)
    var precision = PrecisionChoice.f32
}

extension Precision: ExpressibleByArgument {}

/// What `--precision` may be.
enum PrecisionChoice: String, ExpressibleByArgument, CaseIterable {
    case f32, bf16, auto

    /// - Throws: `SimpleFailure(.usage)` for an instruction set that is not available here.
    func resolved(instructionSet: String?) throws -> Precision {
        switch self {
        case .f32: .float32
        case .bf16: .bfloat16
        case .auto: try InstructionSet.fastestPrecision(of: instructionSet)
        }
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
