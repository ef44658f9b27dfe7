#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Keeps processes of this machine apart that change a folder. It ends with its holder, however that ends. File systems
/// without locks keep nobody apart: only what is harmless when two do it may rely on it.
package enum FolderLock {
    /// Calls `body` when no other process is in such a call with this folder.
    package static func holding<Result>(_ folder: String, _ body: () throws -> Result) rethrows -> Result {
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        defer { if descriptor >= 0 { close(descriptor) } }
        while descriptor >= 0, flock(descriptor, LOCK_EX) != 0, errno == EINTR {}
        return try body()
    }
}
