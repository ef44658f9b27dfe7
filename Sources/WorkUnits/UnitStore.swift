import Files
import Foundation

/// A piece of a stage's work with a result of its own.
public struct WorkUnit: Sendable, Equatable {
    /// Path of the result under the stage's folder, such as `up_blocks.1.attentions.1/features/00742/t0301`.
    public let id: String
    /// Everything the result depends on. Its fingerprint decides whether a result that is there still counts.
    public let key: JSON

    public init(id: String, key: JSON) {
        self.id = id
        self.key = key
    }

    public var fingerprint: String { Fingerprint.of(key) }
}

/// How it stands with a unit's result.
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
/// A unit's result is a folder with the files the stage wrote and `unit.json`: the unit's key and fingerprint, and size
/// and SHA-256 of every file. Nothing in it depends on time, machine or process, so that results of any split of the
/// work are the same bytes.
public struct UnitStore: Sendable {
    /// The study's folder.
    public let study: String
    public let stage: String

    public static let recordName = "unit.json"

    public init(study: String, stage: String) {
        self.study = study
        self.stage = stage
    }

    /// Where a unit's result is, once done.
    public func folder(_ id: String) -> String { "\(study)/\(stage)/\(id)" }

    /// - Parameter verify: whether to compare contents with their checksums too, not sizes alone.
    public func state(of unit: WorkUnit, verify: Bool = true) -> UnitState {
        let folder = folder(unit.id)
        guard FileManager.default.fileExists(atPath: "\(folder)/\(Self.recordName)") else { return .missing }
        guard let record = try? JSON.read("\(folder)/\(Self.recordName)"), let files = record["files"]?.object else {
            return .damaged("\(folder)/\(Self.recordName)")
        }
        guard record["fingerprint"]?.string == unit.fingerprint else { return .outdated }
        for (name, expected) in files {
            let path = "\(folder)/\(name)"
            let size = (try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? Int
            guard size == expected["bytes"]?.int else { return .damaged(path) }
            guard !verify || (try? Fingerprint.of(file: path)) == expected["sha256"]?.string else {
                return .damaged(path)
            }
        }
        return .done
    }

    /// Runs `compute` on a temporary folder beside the unit's place, records the files it left there, and gives the
    /// folder its name. A result of other settings that was there goes away only then.
    ///
    /// - Throws: what `compute` throws; `SimpleFailure(.cannotWrite)`. The temporary folder is then gone again.
    public func produce(_ unit: WorkUnit, compute: (_ folder: String) throws -> Void) throws {
        let place = folder(unit.id)
        let name = (place as NSString).lastPathComponent
        let parent = (place as NSString).deletingLastPathComponent
        try OutputFile.makeFolder(parent)
        removeLeftovers(of: name, in: parent)
        let temporary = "\(parent)/.\(name).\(Host.tag).tmp"
        do {
            try OutputFile.makeFolder(temporary)
            try compute(temporary)
            try record(unit, in: temporary)
            try install(temporary, at: place)
        } catch {
            try? FileManager.default.removeItem(atPath: temporary)
            throw error
        }
    }

    /// Writes `unit.json` for whatever files are in the folder.
    private func record(_ unit: WorkUnit, in folder: String) throws {
        var files = JSONObject()
        for name in try FileManager.default.contentsOfDirectory(atPath: folder).sorted() {
            let path = "\(folder)/\(name)"
            let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
            files[name] = ["bytes": .integer(size ?? 0), "sha256": .string(try Fingerprint.of(file: path))]
        }
        let record: JSON = [
            "stage": .string(stage), "unit": .string(unit.id), "fingerprint": .string(unit.fingerprint),
            "key": unit.key, "files": .object(files),
        ]
        try record.write(to: "\(folder)/\(Self.recordName)", overwrite: true)
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
        try FileManager.default.removeItem(atPath: temporary)
    }

    /// Temporary folders of processes that died at this unit.
    private func removeLeftovers(of name: String, in parent: String) {
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? []
        for entry in entries where entry.hasPrefix(".\(name).") && entry.contains(".tmp") {
            try? FileManager.default.removeItem(atPath: "\(parent)/\(entry)")
        }
    }
}
