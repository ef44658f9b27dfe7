#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The files in which Linux tells about the machine: /proc and /sys, or a recorded copy of them below another root.
public struct SystemTree: Sendable {
    /// Put before every path; empty for the running system.
    public let root: String

    /// The running system, or with `root` a folder that holds recorded `proc` and `sys`.
    public init(root: String = "") { self.root = root }

    /// The text of a file, at most 1 MB, without white space at its end; nil if it is not there or cannot be read.
    package func text(_ path: String) -> String? {
        let file = open(root + path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 14)
        while bytes.count < 1 << 20 {
            let count = read(file, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        var text = Substring(decoding: bytes, as: UTF8.self)
        while text.last?.isWhitespace == true { text.removeLast() }
        return text.isEmpty ? nil : String(text)
    }

    /// The lines of a file; none if it is not there.
    package func lines(_ path: String) -> [Substring] {
        text(path)?.split(whereSeparator: \.isNewline) ?? []
    }

    /// The whole number that a file holds.
    package func integer(_ path: String) -> Int? { text(path).flatMap { Int($0) } }

    /// What stands after `name` on the line that begins with it, without white space before it.
    package func value(after name: String, in path: String) -> Substring? {
        lines(path).first { $0.hasPrefix(name) }?.dropFirst(name.count).drop { $0.isWhitespace }
    }
}
