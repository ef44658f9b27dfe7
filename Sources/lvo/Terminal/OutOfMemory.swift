import Files
import Foundation

/// Ends the program with one line and exit code 71 where the system has no memory.
///
/// An allocation fails in the midst of kernels and arrays, from where nothing can be thrown: Swift's own end in a trap, and
/// `allocateAligned` follows them; C libraries may use the null pointer that they got. A crash is one of these if it left
/// ENOMEM in `errno` of its thread, or if the system has no 16 MB to give now; others keep their signal. Results are
/// intact as after a kill: files appear whole or not at all.
enum OutOfMemory {
    static func listen() {
        // The stack itself may be what cannot grow.
        let size = 1 << 16
        var stack = stack_t(ss_sp: .allocate(byteCount: size, alignment: 16), ss_flags: 0, ss_size: size)
        sigaltstack(&stack, nil)
        var action = sigaction()
        action.sa_flags = SA_ONSTACK
        action.__sigaction_handler.sa_handler = { number in
            if errno == ENOMEM || OutOfMemory.isShort() {
                let line: StaticString = "lvo: out of memory; allow more of it, or choose a smaller size or batch\n"
                _ = write(STDERR_FILENO, line.utf8Start, line.utf8CodeUnitCount)
                _exit(FailureKind.outOfMemory.rawValue)
            }
            // On return the same instruction traps again, or abort goes on.
            signal(number, SIG_DFL)
        }
        for number in [SIGILL, SIGTRAP, SIGABRT, SIGSEGV, SIGBUS] { sigaction(number, &action, nil) }
    }

    private static func isShort() -> Bool {
        let size = 16 << 20
        let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        if memory == MAP_FAILED { return true }
        munmap(memory, size)
        return false
    }
}
