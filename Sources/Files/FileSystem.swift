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
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix("."), isFile("\(folder)/\(name)") { names.append(name) }
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
