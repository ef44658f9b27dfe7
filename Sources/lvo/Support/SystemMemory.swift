import Foundation

/// Memory of this process and this machine, by /proc and the control group.
enum SystemMemory {
    /// Peak resident memory of this process in bytes; nil where /proc does not tell.
    static var peak: Int? { number(after: "VmHWM:", in: "/proc/self/status") }

    /// Bytes that may still be taken without swapping: the machine's, or what the container's limit leaves if that is
    /// less; nil where neither is told.
    static var available: Int? {
        let machine = number(after: "MemAvailable:", in: "/proc/meminfo")
        let group = "/sys/fs/cgroup/memory."
        guard let limit = wholeNumber(group + "max"), let used = wholeNumber(group + "current") else { return machine }
        return min(machine ?? .max, max(0, limit - used))
    }

    /// The kilobytes on the line that begins with `name`, in bytes.
    private static func number(after name: String, in path: String) -> Int? {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
        let line = text.split(separator: "\n").first { $0.hasPrefix(name) }
        return line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }.map { $0 * 1024 }
    }

    private static func wholeNumber(_ path: String) -> Int? {
        (try? String(contentsOfFile: path, encoding: .utf8))
            .flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }
}
