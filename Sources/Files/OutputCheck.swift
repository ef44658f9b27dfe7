#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Notices before hours of work what would make writing their result fail.
public enum OutputCheck {
    /// That a file can be written at `path`.
    ///
    /// - Throws: `FileFailure.exists` if there is one and `overwrite` is false; `.cannotWrite` if a folder has that name, or
    ///   the folder it is to be in is missing or may not be written to.
    public static func file(_ path: String, overwrite: Bool) throws(FileFailure) {
        if FileSystem.isFolder(path) { throw .cannotWrite(file: path, reason: "it is a folder") }
        if !overwrite, access(path, F_OK) == 0 { throw .exists(file: path) }
        let folder = FileSystem.parent(path)
        guard FileSystem.isFolder(folder) else { throw .cannotWrite(file: path, reason: "no folder \(folder)") }
        try mayWrite(folder, for: path)
    }

    /// That files can be written into the folder at `path`, or that it can be made.
    ///
    /// - Throws: `FileFailure.cannotWrite` if `path` or what it is to be in is a file, or may not be written to.
    public static func folder(_ path: String) throws(FileFailure) {
        var nearest = path
        while nearest.count > 1, nearest.hasSuffix("/") { nearest.removeLast() }
        while access(nearest, F_OK) != 0, nearest != ".", nearest != "/" { nearest = FileSystem.parent(nearest) }
        guard FileSystem.isFolder(nearest) else {
            let reason = nearest == path ? "it is not a folder" : "\(nearest) is not a folder"
            throw .cannotWrite(file: path, reason: reason)
        }
        try mayWrite(nearest, for: path)
    }

    private static func mayWrite(_ folder: String, for path: String) throws(FileFailure) {
        if access(folder, W_OK | X_OK) != 0 { throw .cannotWrite(file: path, reason: systemError()) }
    }
}
