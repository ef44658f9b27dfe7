import Foundation

/// Who this process is, for claims and temporary names.
public enum Host {
    public static var name: String { ProcessInfo.processInfo.hostName }

    /// Unique among the processes that may share a folder.
    public static var tag: String { "\(name)-\(getpid())" }

    /// When a process of this host began, in clock ticks since boot; nil if there is none. With the process's number it
    /// tells a living owner from a later process of the same number.
    public static func startTime(of process: Int32) -> Int? {
        guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8) else { return nil }
        // The second field, the program's name in parentheses, may hold spaces; the start time is field 22.
        guard let close = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: close)...].split(separator: " ")
        return fields.count > 19 ? Int(fields[19]) : nil
    }
}
