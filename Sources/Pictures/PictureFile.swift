#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif
import Tensors

/// Files as the program reads and writes them: whole, and never half.
enum PictureFile {
    /// Writes `bytes` under a temporary name in the same folder, then renames: a reader sees the whole file or none,
    /// and a process that dies in between leaves at most a `.…tmp` file behind.
    ///
    /// - Throws: `SimpleFailure(.cannotWrite)` if the file exists and `overwrite` is false, or the system refuses
    ///   (no space, no permission, no folder); a file that was there before is then untouched.
    static func write(_ bytes: some Sequence<UInt8>, to path: String, overwrite: Bool) throws {
        if !overwrite && access(path, F_OK) == 0 {
            throw SimpleFailure(.cannotWrite, "\(path): exists already; give --overwrite to replace it")
        }
        let (folder, name) = split(path)
        let temporary = "\(folder)/.\(name).\(getpid()).tmp"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard file >= 0 else { throw failure(path) }
        do {
            try writeAll(Array(bytes), to: file, path: path)
        } catch {
            close(file)
            unlink(temporary)
            throw error
        }
        guard close(file) == 0, rename(temporary, path) == 0 else {
            let reason = failure(path)
            unlink(temporary)
            throw reason
        }
    }

    /// All bytes of a file of at most `limit` bytes.
    ///
    /// - Throws: `SimpleFailure(.missingInput)` if it cannot be opened, `.badData` if it is larger.
    static func read(_ path: String, limit: Int = 1 << 30) throws -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw SimpleFailure(.missingInput, "\(path): \(String(cString: strerror(errno)))") }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw SimpleFailure(.missingInput, "\(path): not a file")
        }
        let size = Int(status.st_size)
        guard size <= limit else { throw SimpleFailure(.badData, "\(path): \(size) bytes, more than \(limit)") }
        var bytes = [UInt8](repeating: 0, count: size)
        var done = 0
        while done < size {
            let count = bytes.withUnsafeMutableBytes { readSome(file, $0, from: done) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw SimpleFailure(.missingInput, "\(path): cannot be read to its end") }
            done += count
        }
        return bytes
    }

    private static func writeAll(_ bytes: [UInt8], to file: Int32, path: String) throws {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { writeSome(file, $0, from: done) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw failure(path) }
            done += count
        }
        // A rename may reach the disk before the data does; after a power cut the name would point at nothing.
        guard fsync(file) == 0 else { throw failure(path) }
    }

    private static func split(_ path: String) -> (folder: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        let folder = path[..<slash]
        return (folder.isEmpty ? "/" : String(folder), String(path[path.index(after: slash)...]))
    }

    private static func failure(_ path: String) -> SimpleFailure {
        SimpleFailure(.cannotWrite, "\(path): cannot be written: \(String(cString: strerror(errno)))")
    }
}

/// `PictureFile.read` and `write` hide the system's functions of those names.
private func readSome(_ file: Int32, _ buffer: UnsafeMutableRawBufferPointer, from start: Int) -> Int {
    read(file, buffer.baseAddress! + start, buffer.count - start)
}

private func writeSome(_ file: Int32, _ buffer: UnsafeRawBufferPointer, from start: Int) -> Int {
    write(file, buffer.baseAddress! + start, buffer.count - start)
}
