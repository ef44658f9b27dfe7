import Files
import Foundation

/// Units that failed, under `failed/`, apart from results: a failed unit is not done, and the next run tries it again.
public enum FailureRecord {
    public static func write(_ error: any Error, study: String, stage: String, unit: WorkUnit<some Sendable>) throws {
        let path = path(study: study, stage: stage, unit: unit.id)
        try OutputFile.makeFolder(FileSystem.parent(path))
        let record: JSON = [
            "stage": .string(stage), "unit": .string(unit.id), "error": .string("\(error)"),
            "exit_code": .integer(Int(((error as? any Failure)?.kind ?? .internalError).rawValue)),
            "fingerprint": .string(unit.fingerprint),
        ]
        try record.write(to: path, overwrite: true)
    }

    public static func remove(study: String, stage: String, unit: String) {
        unlink(path(study: study, stage: stage, unit: unit))
    }

    /// The error of a unit's last try, if that failed.
    public static func error(study: String, stage: String, unit: String) -> String? {
        (try? JSON.read(path(study: study, stage: stage, unit: unit)))?["error"]?.string
    }

    private static func path(study: String, stage: String, unit: String) -> String {
        "\(study)/failed/\(stage)/\(unit).json"
    }
}
