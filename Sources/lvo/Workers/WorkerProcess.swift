import Files
import Foundation
import Parallel

/// This program started once more, on CPUs of its own. What it prints comes back line by line.
final class WorkerProcess {
    /// Standard output and standard error.
    enum Channel: Int { case output, errors }

    /// How a process ended.
    enum End: Equatable {
        case code(Int32)
        case signal(Int32)
    }

    private let id: pid_t
    private var streams: [Stream]

    private struct Stream {
        let descriptor: Int32
        var isOpen = true
        var waiting: [UInt8] = []
    }

    /// - Parameters:
    ///   - cpus: that it may run on.
    ///   - own: those that this process may run on.
    /// - Throws: `SimpleFailure(.outOfMemory)` if the system gives no process.
    init(arguments: [String], cpus: [Int], own: Set<Int>) throws {
        let pipes = try (0..<2).map { _ in try Self.pipe() }
        defer { for pipe in pipes { close(pipe.write) } }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, pipes[0].write, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, pipes[1].write, STDERR_FILENO)
        let environment = ProcessInfo.processInfo.environment.map { "\($0.key)=\($0.value)" }
        var started = pid_t()
        // It inherits what this thread may run on.
        Affinity.limit(to: cpus)
        let status = Self.withStrings([CommandLine.arguments[0]] + arguments) { arguments in
            Self.withStrings(environment) { posix_spawn(&started, "/proc/self/exe", &actions, nil, arguments, $0) }
        }
        Affinity.limit(to: own)
        guard status == 0 else {
            for pipe in pipes { close(pipe.read) }
            throw SimpleFailure(.outOfMemory, "no process for a worker: \(String(cString: strerror(status)))")
        }
        id = started
        streams = pipes.map { Stream(descriptor: $0.read) }
    }

    deinit { for stream in streams where stream.isOpen { close(stream.descriptor) } }

    /// Neither end is other workers'.
    private static func pipe() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [0, 0]
        guard Foundation.pipe(&ends) == 0 else { throw SimpleFailure(.outOfMemory, "no pipe for a worker: \(systemError())") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    private static func withStrings<Result>(
        _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        var pointers = strings.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        return body(&pointers)
    }

    func signal(_ number: Int32) { kill(id, number) }

    /// Descriptors that lines may still come from.
    var descriptors: [Int32] { streams.filter(\.isOpen).map(\.descriptor) }

    /// Reads what is there of a descriptor that is ready, and hands out whole lines.
    func read(_ descriptor: Int32, _ line: (Channel, String) -> Void) {
        guard let index = streams.firstIndex(where: { $0.isOpen && $0.descriptor == descriptor }),
            let channel = Channel(rawValue: index)
        else { return }
        var buffer = [UInt8](repeating: 0, count: 1 << 14)
        let count = Foundation.read(descriptor, &buffer, buffer.count)
        if count < 0, errno == EINTR { return }
        streams[index].waiting += buffer.prefix(max(0, count))
        while let end = streams[index].waiting.firstIndex(of: UInt8(ascii: "\n")) {
            line(channel, String(decoding: streams[index].waiting[..<end], as: UTF8.self))
            streams[index].waiting.removeFirst(end + 1)
        }
        guard count <= 0 else { return }
        if !streams[index].waiting.isEmpty { line(channel, String(decoding: streams[index].waiting, as: UTF8.self)) }
        streams[index].isOpen = false
        close(descriptor)
    }

    /// Waits for its end. Both descriptors are closed by then.
    func wait() -> End {
        var status: Int32 = 0
        while waitpid(id, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7f
        return signal == 0 ? .code(status >> 8 & 0xff) : .signal(signal)
    }
}
