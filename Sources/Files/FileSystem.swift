#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Questions about paths.
public enum FileSystem {
    public static func isFolder(_ path: String) -> Bool { mode(path) == S_IFDIR }

    public static func isFile(_ path: String) -> Bool { mode(path) == S_IFREG }

    /// What stands before the last slash; "." if there is none.
    public static func parent(_ path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private static func mode(_ path: String) -> mode_t? {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & S_IFMT : nil
    }
}
