#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Memory that weights and activations lie in, aligned to a cache line. From 2 MB on it is aligned to a huge page and
/// the system is asked to use those (`madvise` is a hint; without transparent huge pages nothing changes).
///
/// A product walks over rows that lie kilobytes apart and over weights in pieces of 2–4 KB; with 4 KB pages nearly
/// each piece begins with a miss of the translation buffer (measured: docs/performance.md, diary).
///
/// Given back with `free`. Stops the program if the system has no memory, as Swift's own allocations do: with a trap, and
/// ENOMEM in `errno`.
public func allocateAligned(byteCount: Int) -> UnsafeMutableRawPointer {
    let hugePage = 2 << 20
    let isLarge = byteCount >= hugePage
    var raw: UnsafeMutableRawPointer?
    let status = posix_memalign(&raw, isLarge ? hugePage : 64, max(byteCount, 64))
    guard status == 0, let raw else {
        errno = status
        preconditionFailure("out of memory: asked for \(byteCount) bytes")
    }
    if isLarge { madvise(raw, byteCount / hugePage * hugePage, MADV_HUGEPAGE) }
    return raw
}
