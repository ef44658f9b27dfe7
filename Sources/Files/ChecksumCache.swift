#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Checksums of large files, remembered by path, size and times of change: four gigabytes need not be read again by every
/// command and every process. Links are followed: a linked file is the file.
public final class ChecksumCache {
    private let path: String?
    private var known: [String: JSON]

    /// - Parameter path: of the file that remembers; nil: this process alone does.
    public init(path: String? = nil) {
        self.path = path
        known = path.map(Self.read) ?? [:]
    }

    /// The SHA-256 of a file's bytes.
    ///
    /// - Throws: `FileFailure.cannotRead`.
    public func fingerprint(file: String) throws -> String {
        try checksum(file, of: [file]) { try Fingerprint.of(file: file) }
    }

    /// Of several files of a folder: their names and contents.
    ///
    /// - Throws: `FileFailure.cannotRead`.
    public func fingerprint(folder: String, files: [String]) throws -> String {
        try Fingerprint.of(JSON(files.sorted().map { ($0, .string(try fingerprint(file: "\(folder)/\($0)"))) }))
    }

    /// What `compute` gives, unless it is known from the same state of `files`.
    ///
    /// - Parameter name: of what is computed; unique for what is computed from them.
    /// - Throws: `FileFailure.cannotRead` for a file that is not there; what `compute` throws.
    public func checksum(_ name: String, of files: [String], compute: () throws -> String) throws -> String {
        let (name, state) = (Self.absolute(name), JSON.array(try files.map(Self.state)))
        if let entry = known[name], entry["state"] == state, let checksum = entry["sha256"]?.string { return checksum }
        let checksum = try compute()
        known[name] = ["state": state, "sha256": .string(checksum)]
        if let path { keep(in: path) }
        return checksum
    }

    /// With what other processes have added meanwhile. Only a cache: where it cannot be kept, checksums are computed again.
    private func keep(in path: String) {
        known.merge(Self.read(path)) { own, _ in own }
        let entries = JSON(known.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
        let contents: JSON = ["files": entries, "checksum": .string(Fingerprint.of(entries))]
        try? OutputFile.makeFolder(FileSystem.parent(path))
        try? contents.write(to: path, overwrite: true)
    }

    /// What is remembered; nothing if a byte of the file is not what was written: a wrong checksum would make every result
    /// of a study count as another model's.
    private static func read(_ path: String) -> [String: JSON] {
        guard let json = try? JSON.read(path), let entries = json["files"]?.object,
            json["checksum"]?.string == Fingerprint.of(.object(entries))
        else { return [:] }
        return Dictionary(uniqueKeysWithValues: entries.map { ($0.key, $0.value) })
    }

    /// Processes with other current folders share a cache.
    private static func absolute(_ file: String) -> String {
        guard !file.hasPrefix("/"), let folder = getcwd(nil, 0) else { return file }
        defer { free(folder) }
        return String(cString: folder) + "/" + file
    }

    /// Size, and nanoseconds of the last change of contents and of the inode: a file put in another's place with its
    /// time kept differs in the latter.
    private static func state(_ file: String) throws(FileFailure) -> JSON {
        var status = stat()
        guard stat(file, &status) == 0 else { throw .reading(file) }
        func nanoseconds(_ time: timespec) -> JSON { .integer(time.tv_sec * 1_000_000_000 + time.tv_nsec) }
        return [
            .string(absolute(file)), .integer(Int(status.st_size)), nanoseconds(status.st_mtim),
            nanoseconds(status.st_ctim),
        ]
    }
}
