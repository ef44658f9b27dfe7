#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A file that grows by lines while work goes on: what is in it so far is there for a reader, whatever happens next. A result
/// that must be whole or absent is an `OutputFile`.
package final class AppendedFile {
    /// The file's path.
    package let path: String
    /// Its bytes: those that were kept and those appended since.
    package private(set) var length: Int
    private let descriptor: Int32

    /// Opens the file, made if it is missing, and cuts off what is beyond `length` bytes.
    ///
    /// - Throws: `FileFailure.cannotWrite`.
    package init(path: String, keeping length: Int) throws(FileFailure) {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw .cannotWrite(file: path, reason: systemError()) }
        self.length = length
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .cannotWrite(file: path, reason: systemError()) }
        if Int(status.st_size) > length, ftruncate(descriptor, off_t(length)) != 0 {
            throw .cannotWrite(file: path, reason: systemError())
        }
        self.length = min(length, Int(status.st_size))
    }

    deinit { close(descriptor) }

    /// - Throws: `FileFailure.cannotWrite`; a part of the text may then be in the file.
    package func append(_ text: String) throws(FileFailure) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { throw .cannotWrite(file: path, reason: systemError()) }
            length += written
            rest = rest.dropFirst(written)
        }
    }
}
