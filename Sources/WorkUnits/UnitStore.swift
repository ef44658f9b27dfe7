import Files
import Foundation

/// The state of a unit's result.
public enum UnitState: Sendable, Equatable {
    case done
    case missing
    /// Made with other settings or inputs.
    case outdated
    /// A file of it is not what was written; the reason says which.
    case damaged(String)
}

/// The results of one stage of a study, as folders that appear whole or not at all.
///
/// A unit's result is a folder with the files the stage wrote and their record, `unit.json`. Nothing in it depends on time,
/// machine or process, so that results of any split of the work are the same bytes, and every byte is covered by a
/// checksum: files by the record's, the record by its own. A file too many or too few is damage like a changed one.
public struct UnitStore: Sendable {
    /// The study's folder.
    public let study: String
    public let stage: String

    public init(study: String, stage: String) {
        self.study = study
        self.stage = stage
    }

    /// Where a unit's result is, once done.
    public func folder(_ id: String) -> String { "\(study)/\(stage)/\(id)" }

    /// - Parameter verify: whether to compare contents with their checksums too, not sizes alone.
    public func state(of unit: WorkUnit<some Sendable>, verify: Bool = true) -> UnitState {
        let folder = folder(unit.id)
        let path = "\(folder)/\(UnitRecord.name)"
        guard FileSystem.isFolder(folder) else { return .missing }
        guard let bytes = try? MappedFile.contents(of: path, limit: Self.recordLimit), let record = try? JSON.parse(bytes),
            let files = record["files"]?.object
        else { return .damaged(path) }
        guard bytes == UnitRecord(stage: stage, unit: unit, files: files).bytes else {
            return UnitRecord.isIntact(record, bytes) ? .outdated : .damaged(path)
        }
        guard let names = try? FileSystem.entries(folder) else { return .damaged(folder) }
        for name in names where name != UnitRecord.name && files[name] == nil { return .damaged("\(folder)/\(name)") }
        for (name, expected) in files {
            let path = "\(folder)/\(name)"
            guard FileSystem.size(path) == expected["bytes"]?.int,
                !verify || (try? Fingerprint.of(file: path)) == expected["sha256"]?.string
            else { return .damaged(path) }
        }
        return .done
    }

    /// No record comes near it; a file that does is none.
    private static let recordLimit = 64 << 20

    /// Runs `compute` on a temporary folder beside the unit's place, records the files it left there, and gives the
    /// folder its name. A result of other settings that was there goes away only then.
    ///
    /// - Throws: what `compute` throws; `SimpleFailure(.cannotWrite)`. The temporary folder is then gone again.
    public func produce(
        _ unit: WorkUnit<some Sendable>, compute: (_ folder: String) throws -> Void
    ) throws {
        let place = folder(unit.id)
        let parent = FileSystem.parent(place)
        let name = String(place.dropFirst(parent.count + 1))
        try OutputFile.makeFolder(parent)
        removeLeftovers(of: name, in: parent)
        let temporary = "\(parent)/.\(name).\(Host.tag).tmp"
        do {
            try OutputFile.makeFolder(temporary)
            try compute(temporary)
            let record = try UnitRecord(stage: stage, unit: unit, folder: temporary)
            try OutputFile.write(record.bytes, to: "\(temporary)/\(UnitRecord.name)", overwrite: false)
            try install(temporary, at: place)
        } catch {
            try? FileManager.default.removeItem(atPath: temporary)
            throw error
        }
    }

    /// Renames onto the unit's place. A non-empty folder cannot be replaced in one step: the old one is moved aside
    /// first, and a process killed between the two leaves a missing unit, which is only redone.
    private func install(_ temporary: String, at place: String) throws {
        let old = temporary + ".old"
        if rename(place, old) != 0 && errno != ENOENT { throw FileFailure.cannotWrite(file: place, reason: systemError()) }
        defer { try? FileManager.default.removeItem(atPath: old) }
        if rename(temporary, place) == 0 { return }
        // Another process took the same unit for abandoned and was faster: its result has the same bytes.
        guard errno == ENOTEMPTY || errno == EEXIST else { throw FileFailure.cannotWrite(file: place, reason: systemError()) }
        try? FileManager.default.removeItem(atPath: temporary)
    }

    /// Temporary folders of processes that died at this unit.
    private func removeLeftovers(of name: String, in parent: String) {
        let entries = (try? FileSystem.entries(parent)) ?? []
        for entry in entries where entry.hasPrefix(".\(name).") && entry.contains(".tmp") {
            try? FileManager.default.removeItem(atPath: "\(parent)/\(entry)")
        }
    }
}
