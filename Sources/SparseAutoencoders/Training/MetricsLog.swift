import Files
import Foundation

/// `metrics.ndjson` and `metrics.csv`, one line per step.
struct MetricsLog {
    private let folder: String
    private let files: [FileHandle]

    /// - Parameter lengths: bytes of the files that belong to the checkpoint; the rest is cut off. Nil starts anew.
    init(folder: String, lengths: [Int]?) throws {
        self.folder = folder
        var files: [FileHandle] = []
        for (index, name) in ["metrics.ndjson", "metrics.csv"].enumerated() {
            let path = "\(folder)/\(name)"
            if lengths == nil || !FileManager.default.fileExists(atPath: path) {
                _ = FileManager.default.createFile(atPath: path, contents: nil)
            }
            guard let file = FileHandle(forUpdatingAtPath: path) else {
                throw SimpleFailure(.cannotWrite, "\(path): cannot be written")
            }
            try Self.writing(path) { try file.truncate(atOffset: min(UInt64(lengths?[index] ?? 0), file.seekToEnd())) }
            files.append(file)
        }
        self.files = files
        let header = TrainingMetrics.columns.joined(separator: ",")
        if lengths == nil {
            try Self.writing(folder) { try files[1].write(contentsOf: Data((header + "\n").utf8)) }
        } else {
            try Self.check("\(folder)/metrics.csv", startsWith: header)
        }
    }

    /// A log of other columns is not continued: its lines would mean something else from here on.
    private static func check(_ path: String, startsWith header: String) throws {
        let start = try FileHandle(forReadingFrom: URL(fileURLWithPath: path)).read(upToCount: header.utf8.count) ?? Data()
        guard start.isEmpty || start == Data(header.utf8) else {
            throw SimpleFailure(
                .badData, "\(path): expected the columns \(header); it is another version's log: train in another folder")
        }
    }

    func append(_ line: TrainingMetrics) throws {
        for (file, text) in zip(files, [line.json.serialized(), line.csv]) {
            try Self.writing("\(folder)/metrics") { try file.write(contentsOf: Data((text + "\n").utf8)) }
        }
    }

    /// Foundation's errors as this program's.
    private static func writing(_ path: String, _ body: () throws -> Void) throws {
        do { try body() } catch { throw FileFailure.cannotWrite(file: path, reason: error.localizedDescription) }
    }

    /// What a checkpoint remembers of the files.
    func lengths() throws -> [Int] { try files.map { Int(try $0.offset()) } }
}
