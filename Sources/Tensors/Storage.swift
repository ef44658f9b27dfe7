#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif
import Synchronization

/// A 64-byte aligned run of floats that goes back to its `Workspace` when the last tensor using it is gone.
public final class Storage: @unchecked Sendable {
    public let pointer: UnsafeMutablePointer<Float>
    /// Floats the storage can hold; at least what was asked for.
    public let capacity: Int
    private let workspace: Workspace?

    init(pointer: UnsafeMutablePointer<Float>, capacity: Int, workspace: Workspace?) {
        self.pointer = pointer
        self.capacity = capacity
        self.workspace = workspace
    }

    deinit {
        if let workspace {
            workspace.giveBack(pointer, capacity: capacity)
        } else {
            free(pointer)
        }
    }

    static func allocate(_ count: Int) -> UnsafeMutablePointer<Float> {
        var raw: UnsafeMutableRawPointer?
        let status = posix_memalign(&raw, 64, max(count, 16) * MemoryLayout<Float>.stride)
        precondition(status == 0 && raw != nil, "out of memory: asked for \(count * 4) bytes")
        return raw!.assumingMemoryBound(to: Float.self)
    }
}
