import KernelInterface
import Parallel
import Tensors

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What a computation runs on: the kernels for this CPU, the threads, the memory. Made once, passed to every layer;
/// two engines in one process do not see each other.
public final class Engine: Sendable {
    public let kernels: KernelTable
    public let threads: Threads
    public let workspace: Workspace

    /// - Parameters:
    ///   - instructionSet: `baseline`, `avx2`, `avx512`, `neon`; nil takes the best this CPU has.
    ///   - threads: nil takes the detected count (`ThreadCount`).
    /// - Throws: `SimpleFailure(.usage)` for an instruction set that is not available here.
    public init(instructionSet: String? = nil, threads: Int? = nil) throws {
        kernels = try InstructionSet.kernels(named: instructionSet)
        self.threads = Threads(count: threads ?? ThreadCount.detect(environment: [:]).count)
        workspace = Workspace()
    }

    private init(kernels: KernelTable, threads: Threads) {
        self.kernels = kernels
        self.threads = threads
        workspace = Workspace()
    }

    /// One thread and the plainest kernels: for layers that are made to be described and never run.
    package static let smallest = Engine(kernels: InstructionSet.baseline, threads: Threads(count: 1))
}
