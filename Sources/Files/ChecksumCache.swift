import Foundation

/// Checksums of weight files, remembered by path, size and time of change: four gigabytes need not be read again by
/// every command and every process.
public final class ChecksumCache {
    private let path: String
    private var known: [String: JSON]

    public init(path: String) {
        self.path = path
        let entries = (try? JSON.read(path))?.object
        known = Dictionary(uniqueKeysWithValues: (entries ?? JSONObject()).map { ($0.key, $0.value) })
    }

    /// Of all files in a folder, names and contents; hidden files are not part of it.
    ///
    /// - Throws: `SimpleFailure(.missingInput)` if there is no such folder.
    public func fingerprint(folder: String) throws -> String {
        guard let names = FileManager.default.enumerator(atPath: folder) else {
            throw SimpleFailure(.missingInput, "\(folder): no such folder")
        }
        var members: [(String, JSON)] = []
        for case let name as String in names where !name.split(separator: "/").contains(where: { $0.hasPrefix(".") }) {
            let attributes = try FileManager.default.attributesOfItem(atPath: "\(folder)/\(name)")
            guard attributes[.type] as? FileAttributeType != .typeDirectory else { continue }
            members.append((name, .string(try fingerprint(file: "\(folder)/\(name)", attributes))))
        }
        return Fingerprint.of(JSON(members))
    }

    private func fingerprint(file: String, _ attributes: [FileAttributeKey: Any]) throws -> String {
        let changed = (attributes[.modificationDate] as? Date)?.timeIntervalSince1970 ?? 0
        let state: JSON = [.integer(attributes[.size] as? Int ?? 0), .number(changed)]
        if let entry = known[file], entry["state"] == state, let checksum = entry["sha256"]?.string { return checksum }
        let checksum = try Fingerprint.of(file: file)
        known[file] = ["state": state, "sha256": .string(checksum)]
        // Only a cache: where it cannot be kept, checksums are computed again.
        try? JSON(known.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }).write(to: path, overwrite: true)
        return checksum
    }
}
