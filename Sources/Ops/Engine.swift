import KernelInterface
import Parallel
import Tensors

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What a computation runs on: the kernels for this CPU and their precision, the threads, the memory. Made once, passed to
/// every layer; two engines in one process do not see each other.
public final class Engine: Sendable {
    /// The kernels of the instruction set in use.
    public let kernels: KernelTable
    /// The threads that operations share their work among.
    public let threads: Threads
    /// Where operations take memory for their results.
    public let workspace: Workspace
    /// What layers made for this engine, and attention run on it, round the operands of their products to.
    public let precision: Precision
    /// Whether the instruction set was named, for better or worse.
    private let isForced: Bool

    /// - Parameters:
    ///   - instructionSet: `baseline`, `avx2`, `avx512`, `avx512bf16`, `amx`, `neon`, `neonbf16`; nil takes the best here.
    ///   - threads: nil takes the detected count (`ThreadCount`).
    ///   - pins: whether each thread but the caller's stays on one core.
    ///   - precision: `.bfloat16` only where the CPU has instructions for it, unless the instruction set is named: that
    ///     one then computes it by other instructions if need be, slowly.
    /// - Throws: `SimpleFailure(.usage)` for an instruction set that is not available here, or one without bfloat16.
    public init(
        instructionSet: String? = nil, threads: Int? = nil, pins: Bool = false, precision: Precision = .float32
    ) throws {
        kernels = try InstructionSet.kernels(named: instructionSet)
        isForced = instructionSet != nil
        if precision == .bfloat16, !isForced, !kernels.bfloat16.isNative { throw InstructionSet.noBFloat16 }
        self.precision = precision
        self.threads = Threads(count: threads ?? ThreadCount.detect(environment: [:]).count, pins: pins)
        workspace = Workspace()
    }

    /// The same kernels and precision on other threads, with memory of its own.
    public func running(on threads: Threads) -> Engine {
        Engine(kernels: kernels, threads: threads, workspace: Workspace(), precision: precision, isForced: isForced)
    }

    /// The attention kernels of this engine's precision.
    var attention: AttentionKernels {
        precision == .bfloat16 ? kernels.attentionBFloat16 : kernels.attention
    }

    /// For kernels that no CPU is asked to run: models of instructions.
    package convenience init(kernels: KernelTable, threads: Int, precision: Precision) {
        self.init(
            kernels: kernels, threads: Threads(count: threads), workspace: Workspace(), precision: precision, isForced: true)
    }

    private init(
        kernels: KernelTable, threads: Threads, workspace: Workspace, precision: Precision, isForced: Bool
    ) {
        self.isForced = isForced
        self.kernels = kernels
        self.threads = threads
        self.workspace = workspace
        self.precision = precision
    }

    /// The same kernels, threads and memory in float32: for the layers of a network in which bfloat16 would be heard.
    public var inFloat32: Engine { sharing(.float32) }

    /// The same kernels, threads and memory in another precision.
    /// - Throws: `SimpleFailure(.usage)` as `init`.
    public func computing(in precision: Precision) throws -> Engine {
        if precision == .bfloat16, !isForced, !kernels.bfloat16.isNative { throw InstructionSet.noBFloat16 }
        return sharing(precision)
    }

    private func sharing(_ precision: Precision) -> Engine {
        Engine(kernels: kernels, threads: threads, workspace: workspace, precision: precision, isForced: isForced)
    }

    /// One thread and the plainest kernels: for layers that are made to be described and never run.
    package static let smallest = Engine(
        kernels: InstructionSet.baseline, threads: Threads(count: 1), workspace: Workspace(),
        precision: .float32, isForced: true)
}
