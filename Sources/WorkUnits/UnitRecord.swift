import Files

/// A unit's own record, `unit.json`: its stage, name, key and fingerprint, size and SHA-256 of every file, and a checksum of
/// all that. The text is canonical, so that a record is right exactly if its bytes are those that would be written now.
struct UnitRecord {
    static let name = "unit.json"

    /// By file name: `bytes` and `sha256`.
    let files: JSONObject
    private let members: [(String, JSON)]

    init(stage: String, unit: WorkUnit<some Sendable>, files: JSONObject) {
        self.files = files
        members = [
            ("stage", .string(stage)), ("unit", .string(unit.id)), ("fingerprint", .string(unit.fingerprint)),
            ("key", unit.key), ("files", .object(files)),
        ]
    }

    /// Of the files in a unit's folder.
    ///
    /// - Throws: `FileFailure.cannotRead`.
    init(stage: String, unit: WorkUnit<some Sendable>, folder: String) throws {
        var files = JSONObject()
        for name in try FileSystem.entries(folder) {
            let path = "\(folder)/\(name)"
            files[name] = ["bytes": .integer(FileSystem.size(path) ?? 0), "sha256": .string(try Fingerprint.of(file: path))]
        }
        self.init(stage: stage, unit: unit, files: files)
    }

    var bytes: [UInt8] { Self.sealed(members) }

    /// Whether bytes are a record as some unit's was once written, with whatever key.
    static func isIntact(_ record: JSON, _ bytes: [UInt8]) -> Bool {
        guard let members = record.object?.filter({ $0.key != "checksum" }) else { return false }
        return sealed(members.map { ($0.key, $0.value) }) == bytes
    }

    private static func sealed(_ members: [(String, JSON)]) -> [UInt8] {
        let checksum = Fingerprint.of(JSON(members))
        return Array(JSON(members + [("checksum", .string(checksum))]).serialized(pretty: true).utf8)
    }
}
