#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The one way this program writes files: under a hidden temporary name in the same folder, synced, then renamed. A reader
/// sees the whole file or none; a process that dies leaves at most a `.NAME.HOST-PID.tmp` behind; after a power cut no name
/// points at bytes that never reached the disk. Letting go of it before `commit` removes what was written.
///
/// Files are made with mode 0666 and folders with 0777, both less the process's umask: on a folder that a group shares
/// everything is the group's, whoever wrote it.
public final class OutputFile {
    /// The name that the file gets.
    public let path: String
    private let temporary: String
    private let overwrite: Bool
    private var descriptor: Int32
    private var committed = false

    /// - Throws: `FileFailure.exists` if there is such a file and `overwrite` is false.
    public init(path: String, overwrite: Bool) throws(FileFailure) {
        self.path = path
        self.overwrite = overwrite
        temporary = Self.temporaryName(for: path)
        if !overwrite, access(path, F_OK) == 0 { throw .exists(file: path) }
        descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw .cannotWrite(file: path, reason: systemError()) }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
        if !committed { unlink(temporary) }
    }

    /// Appends bytes.
    ///
    /// - Throws: `FileFailure.cannotWrite`.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(FileFailure) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let chunk = UnsafeRawBufferPointer(rebasing: rest)
            let written = Self.writeOnce(descriptor, chunk)
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { throw .cannotWrite(file: path, reason: systemError()) }
            rest = rest.dropFirst(written)
        }
    }

    /// Appends bytes.
    ///
    /// - Throws: `FileFailure.cannotWrite`.
    public func write(_ bytes: [UInt8]) throws(FileFailure) {
        try bytes.withUnsafeBufferPointer { (buffer) throws(FileFailure) in
            try write(UnsafeRawBufferPointer(buffer))
        }
    }

    /// Gives the file its name.
    public func commit() throws(FileFailure) { try commit(isSynced: true) }

    /// - Parameter isSynced: false for what can be made again and is checked when it is read: after a power cut its name may
    ///   point at bytes that never reached the disk.
    package func commit(isSynced: Bool) throws(FileFailure) {
        // A rename may reach the disk before the data does.
        guard !isSynced || fsync(descriptor) == 0 else { throw .cannotWrite(file: path, reason: systemError()) }
        let status = close(descriptor)
        descriptor = -1
        guard status == 0 else { throw .cannotWrite(file: path, reason: systemError()) }
        try overwrite ? replace() : install()
        committed = true
    }

    private func replace() throws(FileFailure) {
        guard rename(temporary, path) == 0 else { throw .cannotWrite(file: path, reason: systemError()) }
    }

    /// Of several processes that write one file, on whatever machines, the first wins and the others are told. File systems
    /// without links have no such step.
    private func install() throws(FileFailure) {
        if link(temporary, path) == 0 {
            unlink(temporary)
        } else if errno == EEXIST || access(path, F_OK) == 0 {
            throw .exists(file: path)
        } else {
            try replace()
        }
    }

    /// Removes what processes that died have left of a file. Only for who knows that nobody else writes it.
    package static func removeLeftovers(of path: String) {
        let (folder, prefix) = (FileSystem.parent(path), "." + FileSystem.name(path) + ".")
        for name in (try? FileSystem.entries(folder)) ?? [] where name.hasPrefix(prefix) && name.hasSuffix(".tmp") {
            unlink("\(folder)/\(name)")
        }
    }

    /// Removes what processes that died have left in a folder. Only for who knows that nobody else writes there.
    package static func removeLeftovers(in folder: String) {
        for name in (try? FileSystem.entries(folder)) ?? [] where name.hasPrefix(".") && name.hasSuffix(".tmp") {
            unlink("\(folder)/\(name)")
        }
    }

    /// Makes the folder and its parents where they are missing.
    public static func makeFolder(_ path: String) throws(FileFailure) {
        var partial = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            partial += "/" + part
            if mkdir(partial, 0o777) == 0 { continue }
            guard errno == EEXIST else { throw .cannotWrite(file: partial, reason: systemError()) }
            guard FileSystem.isFolder(partial) else { throw .cannotWrite(file: partial, reason: "it is not a folder") }
        }
    }

    /// Gives a folder that was written under another name its own; nothing may be there yet.
    ///
    /// - Throws: `FileFailure.cannotWrite`.
    public static func moveFolder(_ source: String, to path: String) throws(FileFailure) {
        guard rename(source, path) == 0 else { throw .cannotWrite(file: path, reason: systemError()) }
    }

    /// Writes `bytes` at `path`, whole or not at all.
    ///
    /// - Throws: `FileFailure.exists` if there is such a file and `overwrite` is false, `.cannotWrite`; a file that was there
    ///   before is then untouched.
    public static func write(_ bytes: some Sequence<UInt8>, to path: String, overwrite: Bool) throws(FileFailure) {
        let output = try OutputFile(path: path, overwrite: overwrite)
        try output.write(Array(bytes))
        try output.commit()
    }

    private static func temporaryName(for path: String) -> String {
        let name = path.lastIndex(of: "/").map { path[path.index(after: $0)...] } ?? path[...]
        return "\(FileSystem.parent(path))/.\(name).\(hostName)-\(getpid()).tmp"
    }

    /// Processes of different machines and containers may have the same number.
    private static var hostName: String {
        var bytes = [CChar](repeating: 0, count: 256)
        guard gethostname(&bytes, bytes.count - 1) == 0 else { return "" }
        return String(decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Copies a file, whole or not at all.
    ///
    /// - Throws: as `write(_:to:overwrite:)`; `FileFailure.cannotRead` for the source.
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
