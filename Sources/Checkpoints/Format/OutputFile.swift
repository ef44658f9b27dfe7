#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A file that appears under its name only when complete: written under a temporary name beside it, then renamed.
/// Letting go of it before `commit` removes what was written.
public final class OutputFile {
    public let path: String
    private let temporary: String
    private let overwrite: Bool
    private var descriptor: Int32
    private var committed = false

    /// - Throws: `CheckpointFailure.exists` if there is such a file and `overwrite` is false.
    public init(path: String, overwrite: Bool) throws(CheckpointFailure) {
        self.path = path
        self.overwrite = overwrite
        temporary = "\(path).tmp-\(getpid())"
        if !overwrite, access(path, F_OK) == 0 { throw .exists(file: path) }
        descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw .cannotWrite(file: path, reason: systemError()) }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
        if !committed { unlink(temporary) }
    }

    public func write(_ bytes: UnsafeRawBufferPointer) throws(CheckpointFailure) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let chunk = UnsafeRawBufferPointer(rebasing: rest)
            let written = Self.writeOnce(descriptor, chunk)
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { throw .cannotWrite(file: path, reason: systemError()) }
            rest = rest.dropFirst(written)
        }
    }

    public func write(_ bytes: [UInt8]) throws(CheckpointFailure) {
        try bytes.withUnsafeBufferPointer { (buffer) throws(CheckpointFailure) in
            try write(UnsafeRawBufferPointer(buffer))
        }
    }

    /// Gives the file its name.
    public func commit() throws(CheckpointFailure) {
        let status = close(descriptor)
        descriptor = -1
        guard status == 0 else { throw .cannotWrite(file: path, reason: systemError()) }
        if !overwrite, access(path, F_OK) == 0 { throw .exists(file: path) }
        guard rename(temporary, path) == 0 else { throw .cannotWrite(file: path, reason: systemError()) }
        committed = true
    }

    /// Makes the folder and its parents where they are missing.
    public static func makeFolder(_ path: String) throws(CheckpointFailure) {
        var partial = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            partial += "/" + part
            if mkdir(partial, 0o755) != 0, errno != EEXIST {
                throw .cannotWrite(file: partial, reason: systemError())
            }
        }
    }

    public static func copy(_ source: String, to path: String, overwrite: Bool) throws {
        let output = try OutputFile(path: path, overwrite: overwrite)
        try MappedFile.withBytes(of: source) { try output.write($0) }
        try output.commit()
    }

    private static func writeOnce(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
        #if canImport(Glibc)
            Glibc.write(descriptor, bytes.baseAddress, bytes.count)
        #else
            Musl.write(descriptor, bytes.baseAddress, bytes.count)
        #endif
    }
}
