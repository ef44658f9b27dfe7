#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The one way this program reads text that people and other programs write: UTF-8, with or without a byte-order mark; lines
/// end in "\n", "\r\n" or "\r", the last one maybe in nothing. Files may be pipes (`/dev/stdin`, a shell's `<(…)`).
public enum TextLines {
    /// Prompts and settings are far smaller; a pipe has no end that could be asked for.
    public static let largestFile = 1 << 30

    /// The lines of a file without their ends, empty ones included; line i stands at index i - 1.
    ///
    /// - Throws: `FileFailure.cannotRead`; `.unsupported` for UTF-16 and other text that is not UTF-8, `.malformed` for NUL
    ///   bytes.
    public static func read(_ path: String) throws(FileFailure) -> [String] {
        try split(bytes(of: path), file: path).map { String($0) }
    }

    /// The whole text of a file, line ends as they are, without a byte-order mark.
    public static func text(of path: String) throws(FileFailure) -> String { try decode(bytes(of: path), file: path) }

    /// The lines of text.
    ///
    /// Swift takes "\r\n" for one `Character`, so `split(separator: "\n")` would not see it: scalars are looked at.
    public static func split(_ text: String) -> [Substring] {
        var lines: [Substring] = []
        let scalars = text.unicodeScalars
        var start = scalars.startIndex
        var position = start
        while position < scalars.endIndex {
            let scalar = scalars[position]
            let next = scalars.index(after: position)
            if scalar == "\n" || scalar == "\r" {
                lines.append(Substring(scalars[start..<position]))
                let isPair = scalar == "\r" && next < scalars.endIndex && scalars[next] == "\n"
                start = isPair ? scalars.index(after: next) : next
                position = start
            } else {
                position = next
            }
        }
        if start < scalars.endIndex { lines.append(Substring(scalars[start...])) }
        return lines
    }

    package static func split(_ bytes: [UInt8], file: String) throws(FileFailure) -> [Substring] {
        try split(decode(bytes, file: file))
    }

    /// - Throws: as `read` does.
    package static func decode(_ bytes: [UInt8], file: String) throws(FileFailure) -> String {
        for (mark, name) in marks where bytes.starts(with: mark) { throw encoded(name, name, file) }
        let own = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes.dropFirst(3) : bytes[...]
        if let nul = own.firstIndex(of: 0) {
            if let name = utf16(own) { throw encoded(name, name, file) }
            throw .malformed(file: file, reason: "line \(lineNumber(of: nul, in: own)) holds a NUL byte")
        }
        if let text = String(validating: own, as: UTF8.self) { return text }
        let line = lineNumber(of: firstInvalid(own), in: own)
        throw encoded("line \(line) is not UTF-8; Latin-1 or Windows-1252", "WINDOWS-1252", file)
    }

    /// Of other encodings; the longer of two that begin alike comes first.
    private static let marks: [([UInt8], String)] = [
        ([0xFF, 0xFE, 0, 0], "UTF-32LE"), ([0, 0, 0xFE, 0xFF], "UTF-32BE"), ([0xFF, 0xFE], "UTF-16LE"),
        ([0xFE, 0xFF], "UTF-16BE"),
    ]

    private static func encoded(_ what: String, _ name: String, _ file: String) -> FileFailure {
        .unsupported(
            file: file, found: what.hasPrefix("line") ? "\(what)?" : "its text is \(what)",
            advice: "convert it: iconv -f \(name) -t UTF-8 FILE > NEW")
    }

    /// Which kind of UTF-16 text without a mark is in, told by where the NUL bytes of Latin letters stand.
    private static func utf16(_ bytes: ArraySlice<UInt8>) -> String? {
        let start = Array(bytes.prefix(512))
        let pairs = start.count / 2
        guard pairs > 0 else { return nil }
        let even = (0..<pairs).count { start[2 * $0] == 0 }
        let odd = (0..<pairs).count { start[2 * $0 + 1] == 0 }
        if odd * 10 > pairs * 6, even == 0 { return "UTF-16LE" }
        if even * 10 > pairs * 6, odd == 0 { return "UTF-16BE" }
        return nil
    }

    private static func lineNumber(of position: Int, in bytes: ArraySlice<UInt8>) -> Int {
        let before = bytes[bytes.startIndex..<position]
        var count = 1
        var previous: UInt8 = 0
        for byte in before {
            if byte == 0x0A && previous != 0x0D || byte == 0x0D { count += 1 }
            previous = byte
        }
        return count
    }

    /// Where the longest valid beginning ends.
    private static func firstInvalid(_ bytes: ArraySlice<UInt8>) -> Int {
        var position = bytes.startIndex
        for line in bytes.split(separator: 0x0A, omittingEmptySubsequences: false) {
            if String(validating: line, as: UTF8.self) == nil { return line.startIndex }
            position = line.endIndex
        }
        return min(position, bytes.endIndex)
    }

    /// All bytes of a file or pipe.
    private static func bytes(of path: String) throws(FileFailure) -> [UInt8] {
        if FileSystem.isFolder(path) { throw .cannotRead(file: path, reason: "it is a folder") }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .reading(path) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = buffer.withUnsafeMutableBytes { read(descriptor, $0) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .reading(path) }
            if count == 0 { return bytes }
            bytes += buffer[..<count]
            guard bytes.count <= largestFile else {
                throw .malformed(file: path, reason: "text of more than \(largestFile) bytes")
            }
        }
    }

    private static func read(_ descriptor: Int32, _ buffer: UnsafeMutableRawBufferPointer) -> Int {
        #if canImport(Glibc)
            Glibc.read(descriptor, buffer.baseAddress, buffer.count)
        #else
            Musl.read(descriptor, buffer.baseAddress, buffer.count)
        #endif
    }
}
