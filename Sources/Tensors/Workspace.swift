#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif
import Synchronization

/// Memory for activations, reused from step to step.
///
/// A tensor's storage returns here when its last user lets go, and the next tensor of about the same size takes
/// it over. After the first step of a repeated computation every request is served from what the step before gave
/// back, so nothing is allocated, and the peak is the real overlap of lifetimes.
public final class Workspace: Sendable {
    private struct State {
        /// Addresses of unused storage by size; a stack, so that what is warm in the cache is taken first.
        var free: [Int: [UInt]] = [:]
        var bytesReserved = 0
        var bytesInUse = 0
        var peakBytesInUse = 0
        var allocations = 0
        var limit = Int.max
    }
    private let state = Mutex(State())

    /// A workspace that holds nothing yet.
    public init() {}

    deinit {
        trim()
    }

    /// Bytes taken from the system and not given back to it; the peak of bytes in tensors; system allocations so far.
    public var statistics: (bytesReserved: Int, bytesInUse: Int, peakBytesInUse: Int, allocations: Int) {
        state.withLock { ($0.bytesReserved, $0.bytesInUse, $0.peakBytesInUse, $0.allocations) }
    }

    /// Bytes beyond which idle storage is given back to the system before more is taken from it. What tensors use is
    /// never refused.
    public func limit(to bytes: Int) {
        state.withLock { $0.limit = bytes }
    }

    /// Storage for `count` floats, contents undefined.
    public func take(_ count: Int) -> Storage {
        let size = Self.sizeClass(count)
        let (address, capacity) = state.withLock { state -> (UInt?, Int) in
            let found = Self.bestFit(size, state.free)
            let capacity = found ?? size
            state.bytesInUse += capacity * 4
            state.peakBytesInUse = max(state.peakBytesInUse, state.bytesInUse)
            if let found { return (state.free[found]?.popLast(), found) }
            if state.bytesReserved + size * 4 > state.limit { Self.release(&state, size * 4) }
            state.bytesReserved += size * 4
            state.allocations += 1
            return (nil, size)
        }
        let pointer = address.flatMap { UnsafeMutablePointer<Float>(bitPattern: $0) } ?? Storage.allocate(capacity)
        return Storage(pointer: pointer, capacity: capacity, workspace: self)
    }

    /// The size of unused storage to take: of the same size, or, from 1 MB on, the next up to twice as large. Maps of
    /// neighbouring widths then share memory that would otherwise lie idle beside each other (a third of the whole
    /// when decoding a 512×512 picture).
    private static func bestFit(_ size: Int, _ free: [Int: [UInt]]) -> Int? {
        if free[size]?.isEmpty == false { return size }
        if size < 1 << 18 { return nil }
        return free.filter { $0.key > size && $0.key <= 2 * size && !$0.value.isEmpty }.keys.min()
    }

    /// Frees idle storage, large first, until `bytes` more stay within the limit.
    private static func release(_ state: inout State, _ bytes: Int) {
        for size in state.free.keys.sorted(by: >) {
            while state.bytesReserved + bytes > state.limit, let address = state.free[size]?.popLast() {
                free(UnsafeMutableRawPointer(bitPattern: address))
                state.bytesReserved -= size * 4
            }
        }
    }

    func giveBack(_ pointer: UnsafeMutablePointer<Float>, capacity: Int) {
        let address = UInt(bitPattern: pointer)
        state.withLock {
            $0.bytesInUse -= capacity * 4
            $0.free[capacity, default: []].append(address)
        }
    }

    /// Returns to the system whatever no tensor uses.
    public func trim() {
        state.withLock { state in
            for (size, addresses) in state.free {
                for address in addresses { free(UnsafeMutableRawPointer(bitPattern: address)) }
                state.bytesReserved -= size * 4 * addresses.count
            }
            state.free.removeAll()
        }
    }

    /// Sizes are rounded up so that tensors of nearly equal size share storage: to 1/8 of the next power of two.
    static func sizeClass(_ count: Int) -> Int {
        let minimum = max(count, 1024)
        let step = max(1024, (1 << (Int.bitWidth - 1 - minimum.leadingZeroBitCount)) / 8)
        return (minimum + step - 1) / step * step
    }
}
