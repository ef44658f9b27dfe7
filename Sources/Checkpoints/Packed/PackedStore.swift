import Files
import Synchronization

/// A folder of `PackedFile`s by what they were made of. Only a cache: what cannot be kept, or was changed, is packed again.
public final class PackedStore: Sendable {
    /// Where the files lie; made when the first is written.
    public let folder: String
    /// Bytes that the files may take together.
    public let limit: Int
    private let warn: @Sendable (String) -> Void
    /// Set once it could not be written: one line says so, not one for each network.
    private let isOff = Mutex(false)

    /// - Parameters:
    ///   - limit: bytes that the files may take; those used longest ago make room for a new one.
    ///   - warn: told once, in one line, when the folder cannot be written.
    public init(folder: String, limit: Int, warn: @escaping @Sendable (String) -> Void = { _ in }) {
        (self.folder, self.limit, self.warn) = (folder, limit, warn)
    }

    /// The file for a key: as it lies there, or made now. Of several processes that want it, one makes it and the others wait.
    ///
    /// - Parameters:
    ///   - size: bytes it will take, about.
    ///   - fill: adds the sections.
    /// - Returns: nil where there is no room, or where something cannot be written.
    /// - Throws: what `fill` throws about other files.
    package func file(
        _ key: JSON, about: JSON, size: Int, fill: (PackedFileWriter) throws -> Void
    ) throws -> PackedFile? {
        let path = path(key)
        if let known = known(path) { return known }
        guard size <= limit, !isOff.withLock({ $0 }) else { return nil }
        do {
            try OutputFile.makeFolder(folder)
            return try FolderLock.holding(folder) {
                // Whoever held the lock before may have made it.
                if let known = known(path) { return known }
                return try make(path, key: key, about: about, size: size, fill: fill)
            }
        } catch let failure as FileFailure where failure.kind == .cannotWrite {
            turnOff("\(failure.description)")
            return nil
        }
    }

    private func make(
        _ path: String, key: JSON, about: JSON, size: Int, fill: (PackedFileWriter) throws -> Void
    ) throws -> PackedFile? {
        OutputFile.removeLeftovers(in: folder)
        prune(to: limit - size)
        if let free = FileSystem.freeBytes(folder), free < 2 * size {
            turnOff("\(folder): \(free >> 20) MB free for \(size >> 20) MB, which would not leave as much again")
            return nil
        }
        let writer = try PackedFileWriter(path: path)
        try fill(writer)
        try writer.commit(key: key, about: about)
        return known(path)
    }

    private func turnOff(_ reason: String) {
        let wasOff = isOff.withLock { isOff in
            defer { isOff = true }
            return isOff
        }
        if !wasOff { warn("\(reason); going on without packed weights in the cache") }
    }

    /// Lets go of a file in which a section was found damaged: the next process makes it anew.
    package func forget(_ key: JSON) { FileSystem.remove(path(key)) }

    private func known(_ path: String) -> PackedFile? {
        guard let file = try? PackedFile(path: path) else { return nil }
        FileSystem.touch(path)
        return file
    }

    private func path(_ key: JSON) -> String { "\(folder)/\(Fingerprint.of(key)).\(Self.ending)" }

    private static let ending = "pack"
}

/// What there is.
extension PackedStore {
    /// A file of the store, for people.
    public struct Entry: Sendable {
        /// The file.
        public let path: String
        /// Its size.
        public let bytes: Int
        /// When a process last read or wrote it, in seconds since 1970.
        public let lastUse: Double
        /// Model, network, precision and instruction set; nil for a file that cannot be read.
        public let about: JSON?
    }

    /// All files, the one used longest ago first.
    public var entries: [Entry] {
        FileSystem.files(in: folder).filter { $0.hasSuffix("." + Self.ending) }.compactMap { name in
            let path = "\(folder)/\(name)"
            guard let bytes = FileSystem.size(path), let time = FileSystem.modificationTime(path) else { return nil }
            return Entry(path: path, bytes: bytes, lastUse: time, about: (try? PackedFile(path: path))?.about)
        }.sorted { ($0.lastUse, $0.path) < ($1.lastUse, $1.path) }
    }

    /// Removes the files used longest ago until the others take at most `limit` bytes. A process that has mapped one keeps it
    /// until it ends.
    ///
    /// - Returns: what was removed.
    @discardableResult
    public func prune(to limit: Int) -> [Entry] {
        let entries = entries
        var bytes = entries.reduce(0) { $0 + $1.bytes }
        var removed: [Entry] = []
        for entry in entries where bytes > limit {
            FileSystem.remove(entry.path)
            bytes -= entry.bytes
            removed.append(entry)
        }
        return removed
    }
}
