import Files
import Foundation

/// Who works on which unit, so that processes that share a folder do not do the same one.
///
/// A claim is a file made with O_EXCL (atomic on local and network file systems) that names host and process, and whose
/// modification time the owner renews. It is stale when its process is gone (same host) or it was not renewed for
/// `patience` (other hosts). Claims save work and nothing depends on them: should two processes do one unit after all,
/// both write the same bytes and one of the two folders stays. File locks would be simpler but are unreliable or
/// switched off on the network file systems of clusters.
public final class Claims: Sendable {
    /// A network file system may show a renewal late; a minute of silence says nothing yet.
    public static let patience = 300.0

    private let folder: String
    private let held: Held

    public init(study: String) throws {
        folder = Self.folder(study)
        try OutputFile.makeFolder(folder)
        held = Held()
        held.keepRenewing()
    }

    deinit { held.end() }

    /// Takes a unit, if no living process has it.
    ///
    /// - Throws: `SimpleFailure(.cannotWrite)`.
    public func take(stage: String, unit: String) throws -> Bool {
        let path = path(stage: stage, unit: unit)
        if try create(path) { return true }
        guard Self.isStale(path, now: serverTime()) else { return false }
        unlink(path)
        return try create(path)
    }

    public func release(stage: String, unit: String) {
        let path = path(stage: stage, unit: unit)
        held.remove(path)
        unlink(path)
    }

    /// Units of a stage that living processes work on. Writes nothing, and so takes this machine's clock for that of the file
    /// system: good enough for a number that is only shown.
    public static func running(study: String, stage: String) -> Int {
        let (folder, now) = (folder(study), Date().timeIntervalSince1970)
        let names = (try? FileSystem.entries(folder)) ?? []
        return names.filter { $0.hasPrefix("\(stage)~") && !isStale("\(folder)/\($0)", now: now) }.count
    }

    private static func folder(_ study: String) -> String { "\(study)/claims" }

    private func path(stage: String, unit: String) -> String {
        "\(folder)/\(stage)~\(unit.replacing("/", with: "~")).json"
    }

    private func create(_ path: String) throws -> Bool {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        if file < 0 && errno == EEXIST { return false }
        guard file >= 0 else { throw FileFailure.cannotWrite(file: path, reason: systemError()) }
        defer { close(file) }
        let owner: JSON = [
            "host": .string(Host.name), "process": .integer(Int(getpid())),
            "started": .integer(Host.startTime(of: getpid()) ?? 0),
        ]
        let text = Array(owner.serialized().utf8)
        guard write(file, text, text.count) == text.count else {
            unlink(path)
            throw FileFailure.cannotWrite(file: path, reason: systemError())
        }
        held.insert(path)
        return true
    }

    /// - Parameter now: nil if the clock is not known; then nothing is too old.
    private static func isStale(_ path: String, now: Double?) -> Bool {
        var status = stat()
        guard stat(path, &status) == 0 else { return false }
        let age = now.map { $0 - seconds(status) } ?? 0
        // Just created and not yet filled in, or half written by a process that died.
        guard let owner = try? JSON.read(path), let process = owner["process"]?.int else { return age > 10 }
        guard owner["host"]?.string == Host.name else { return age > patience }
        return Host.startTime(of: Int32(truncatingIfNeeded: process)) != owner["started"]?.int
    }

    /// Now, by the clock of the file system that stamps the claims; machines' own clocks may differ.
    private func serverTime() -> Double? {
        let probe = "\(folder)/.clock.\(Host.tag)"
        let file = open(probe, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard file >= 0 else { return nil }
        var status = stat()
        let known = futimens(file, nil) == 0 && fstat(file, &status) == 0
        close(file)
        unlink(probe)
        return known ? Self.seconds(status) : nil
    }

    private static func seconds(_ status: stat) -> Double {
        Double(status.st_mtim.tv_sec) + Double(status.st_mtim.tv_nsec) / 1e9
    }
}

/// The claims of this process, which a thread renews. The thread holds this and not the claims, so that letting go of
/// them ends it. Not a Dispatch timer: where the system has no room for a thread that waits for ever, while an
/// unrenewed claim costs at most a unit's work.
private final class Held: @unchecked Sendable {
    private static let renewal = 20.0

    private let condition = NSCondition()
    private var paths: Set<String> = []
    private var isOver = false

    func insert(_ path: String) { condition.withLock { _ = paths.insert(path) } }

    func remove(_ path: String) { condition.withLock { _ = paths.remove(path) } }

    func keepRenewing() {
        let thread = Thread { [self] in
            condition.withLock {
                while !isOver {
                    if !condition.wait(until: Date(timeIntervalSinceNow: Self.renewal)) { renew() }
                }
            }
        }
        thread.stackSize = 1 << 18
        thread.start()
    }

    /// Gives all claims back.
    func end() {
        condition.withLock {
            for path in paths { unlink(path) }
            isOver = true
            condition.signal()
        }
    }

    private func renew() {
        for path in paths { utimensat(AT_FDCWD, path, nil, 0) }
    }
}
