import Files
import Foundation

/// Ends the program with one line and exit code 71 where the system has no memory.
///
/// An allocation fails in the midst of kernels and arrays, from where nothing can be thrown: Swift's own end in a trap, and
/// `allocateAligned` follows them. Both leave ENOMEM behind in `errno` of the thread that traps, which tells them from every
/// other trap; those keep their signal. Results are intact as after a kill: files appear whole or not at all.
enum OutOfMemory {
    static func listen() {
        for number in [SIGILL, SIGTRAP, SIGABRT] {
            signal(number) { number in
                if errno == ENOMEM {
                    let line: StaticString = "lvo: out of memory; allow more of it, or choose a smaller size or batch\n"
                    _ = write(STDERR_FILENO, line.utf8Start, line.utf8CodeUnitCount)
                    _exit(FailureKind.outOfMemory.rawValue)
                }
                // On return the same instruction traps again, or abort goes on.
                signal(number, SIG_DFL)
            }
        }
    }
}
