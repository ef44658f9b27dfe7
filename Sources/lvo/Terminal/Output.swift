import Files
import Foundation
import Synchronization

/// Standard output and standard error: everything that prints goes through here, because `FileHandle.write` ends in a trap
/// and the standard library's `print` in silence where a device is full.
///
/// Standard output carries results. When it cannot be written the work still goes on, as its files are worth more than their
/// names on a screen, and the program ends with one line and exit code 73. Standard error that cannot be written is
/// ignored: there is nobody left to tell.
enum Output {
    /// Why standard output could not be written the first time it could not. A fact of the process, as its descriptors are.
    private static let failure = Mutex<String?>(nil)

    /// Occupies standard descriptors that are closed, so that no result file gets their number and other people's lines.
    static func open() {
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
            // Only for reading: writing to it then fails as it would to a closed one.
            _ = Foundation.open("/dev/null", O_RDONLY)
        }
    }

    static func result(_ text: String) {
        guard !write(text, to: STDOUT_FILENO) else { return }
        let reason = systemError()
        failure.withLock { $0 = $0 ?? reason }
    }

    static func error(_ text: String) { _ = write(text, to: STDERR_FILENO) }

    /// - Throws: `FileFailure.cannotWrite` if a result could not be printed.
    static func check() throws {
        if let reason = failure.withLock({ $0 }) { throw FileFailure.cannotWrite(file: "standard output", reason: reason) }
    }

    /// Whether everything was written; errno says why not.
    private static func write(_ text: String, to descriptor: Int32) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let count = Foundation.write(descriptor, rest.baseAddress, rest.count)
                if count < 0, errno == EINTR { continue }
                if count < 0, errno == EAGAIN {
                    // A pipe that its reader made non-blocking is full for a moment.
                    var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    _ = poll(&entry, 1, -1)
                    continue
                }
                guard count > 0 else { return false }
                rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
            }
            return true
        }
    }
}

/// A line on standard output. Stands in for the standard library's `print`, which does not notice what is not written.
func print(_ text: String, terminator: String = "\n") { Output.result(text + terminator) }

/// One line on standard error, so that standard output carries results only.
func note(_ text: String) { Output.error("lvo: \(text)\n") }
