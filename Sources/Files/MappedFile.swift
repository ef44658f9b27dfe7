#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A file's bytes: a regular file mapped read-only (pages are read when touched, and shared between processes), or
/// contents that are in memory already.
///
/// The bytes are there only while the object lives: what keeps views of them keeps it as their owner; everything else
/// uses `withBytes`.
public final class MappedFile: @unchecked Sendable {
    /// The path, or another name for messages.
    public let path: String
    /// The file's bytes; valid while this object lives.
    public let bytes: UnsafeRawBufferPointer
    private let owner: AnyObject?

    /// Maps a file into memory, to be read.
    ///
    /// - Throws: `FileFailure.cannotRead`.
    public init(path: String) throws(FileFailure) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .reading(path) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .reading(path) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw .cannotRead(file: path, reason: "not a regular file")
        }
        self.path = path
        owner = nil
        let count = Int(status.st_size)
        if count == 0 {
            bytes = UnsafeRawBufferPointer(start: nil, count: 0)
            return
        }
        guard let start = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0), start != MAP_FAILED else {
            throw .reading(path)
        }
        bytes = UnsafeRawBufferPointer(start: start, count: count)
    }

    /// - Parameter owner: keeps the bytes alive.
    public init(name: String, bytes: UnsafeRawBufferPointer, owner: AnyObject) {
        path = name
        self.bytes = bytes
        self.owner = owner
    }

    deinit {
        if owner == nil, let start = bytes.baseAddress {
            munmap(UnsafeMutableRawPointer(mutating: start), bytes.count)
        }
    }

    /// Takes the pages of a mapped file out of this process's memory; touching them again reads them again, mostly
    /// from the system's cache. For weights that have been packed: they would count twice in the resident size.
    public func releasePages() {
        // Memory of another owner would be lost, not read again.
        guard owner == nil, let start = bytes.baseAddress else { return }
        madvise(UnsafeMutableRawPointer(mutating: start), bytes.count, MADV_DONTNEED)
    }

    /// Says that pages are touched in no order: the system then reads those that are touched and not their neighbours.
    package func expectRandomAccess() {
        guard owner == nil, let start = bytes.baseAddress else { return }
        madvise(UnsafeMutableRawPointer(mutating: start), bytes.count, MADV_RANDOM)
    }

    /// Says that large pages serve best. A hint: many kernels and file systems keep to small ones for files.
    package func preferLargePages() {
        guard owner == nil, let start = bytes.baseAddress else { return }
        madvise(UnsafeMutableRawPointer(mutating: start), bytes.count, MADV_HUGEPAGE)
    }

    /// Asks the system to read a part of a mapped file that will be touched soon, without waiting for it.
    package static func prefetch(_ bytes: UnsafeRawBufferPointer) {
        guard let address = bytes.baseAddress else { return }
        let offset = Int(bitPattern: address) % Int(sysconf(Int32(_SC_PAGESIZE)))
        madvise(UnsafeMutableRawPointer(mutating: address - offset), bytes.count + offset, MADV_WILLNEED)
    }

    /// All bytes of a file of at most `limit` bytes.
    ///
    /// - Throws: `FileFailure.cannotRead`; `.malformed` if it is larger.
    public static func contents(of path: String, limit: Int) throws(FileFailure) -> [UInt8] {
        let file = try MappedFile(path: path)
        defer { withExtendedLifetime(file) {} }
        guard file.bytes.count <= limit else {
            throw .malformed(file: path, reason: "\(file.bytes.count) bytes, more than \(limit)")
        }
        return Array(file.bytes)
    }

    /// Calls `body` with the bytes of a file that nothing else refers to.
    public static func withBytes<Result>(
        of path: String, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        let file = try MappedFile(path: path)
        return try withExtendedLifetime(file) { try body(file.bytes) }
    }
}

/// What the last failed system call says, as a person reads it.
public func systemError() -> String { String(cString: strerror(errno)) }
