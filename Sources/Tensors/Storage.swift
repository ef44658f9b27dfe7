#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif
import Synchronization

/// A 64-byte aligned run of floats that goes back to its `Workspace` when the last tensor using it is gone.
public final class Storage: @unchecked Sendable {
    /// The first float; valid while this object lives.
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
        allocateAligned(byteCount: max(count, 16) * MemoryLayout<Float>.stride).assumingMemoryBound(to: Float.self)
    }
}
