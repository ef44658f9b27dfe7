#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Questions about paths.
public enum FileSystem {
    /// Whether there is a folder of that path, by way of symbolic links too.
    public static func isFolder(_ path: String) -> Bool { mode(path) == S_IFDIR }

    /// Whether there is a regular file of that path, by way of symbolic links too.
    public static func isFile(_ path: String) -> Bool { mode(path) == S_IFREG }

    /// What stands before the last slash; "." if there is none.
    public static func parent(_ path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Names of the regular files directly in a folder, sorted; hidden ones left out. Empty without the folder.
    public static func files(in folder: String) -> [String] {
        ((try? entries(folder)) ?? []).filter { !$0.hasPrefix(".") && isFile("\(folder)/\($0)") }
    }

    /// Bytes of a regular file; nil if there is none.
    public static func size(_ path: String) -> Int? {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG ? Int(status.st_size) : nil
    }

    /// When a file's contents last changed, or it was last touched, in seconds since 1970; nil if there is none.
    package static func modificationTime(_ path: String) -> Double? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return Double(status.st_mtim.tv_sec) + Double(status.st_mtim.tv_nsec) * 1e-9
    }

    /// Sets a file's time to now, as far as its owner allows.
    package static func touch(_ path: String) { utimensat(AT_FDCWD, path, nil, 0) }

    /// Removes a file, as far as its owner allows.
    package static func remove(_ path: String) { unlink(path) }

    /// Bytes that this user may still write on the file system of a folder; nil where it does not tell.
    package static func freeBytes(_ folder: String) -> Int? {
        var status = statvfs()
        guard statvfs(folder, &status) == 0 else { return nil }
        return Int(status.f_bavail) * Int(status.f_frsize)
    }

    /// Names of all files and folders directly in a folder, hidden ones too, sorted.
    ///
    /// - Throws: `FileFailure.cannotRead`.
    public static func entries(_ folder: String) throws(FileFailure) -> [String] {
        guard let stream = opendir(folder) else { throw .reading(folder) }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// What follows the last slash.
    public static func name(_ path: String) -> String {
        path.split(separator: "/").last.map(String.init) ?? path
    }

    private static func mode(_ path: String) -> mode_t? {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & S_IFMT : nil
    }
}
