import Files
import Foundation

/// `metrics.ndjson` and `metrics.csv`, one line per step.
struct MetricsLog {
    private let files: [FileHandle]

    /// - Parameter lengths: bytes of the files that belong to the checkpoint; the rest is cut off. Nil starts anew.
    init(folder: String, lengths: [Int]?) throws {
        var files: [FileHandle] = []
        for (index, name) in ["metrics.ndjson", "metrics.csv"].enumerated() {
            let path = "\(folder)/\(name)"
            if lengths == nil || !FileManager.default.fileExists(atPath: path) {
                _ = FileManager.default.createFile(atPath: path, contents: nil)
            }
            guard let file = FileHandle(forUpdatingAtPath: path) else {
                throw SimpleFailure(.cannotWrite, "\(path): cannot be written")
            }
            try file.truncate(atOffset: min(UInt64(lengths?[index] ?? 0), file.seekToEnd()))
            files.append(file)
        }
        self.files = files
        if lengths == nil {
            try files[1].write(contentsOf: Data((TrainingMetrics.columns.joined(separator: ",") + "\n").utf8))
        }
    }

    func append(_ line: TrainingMetrics) throws {
        for (file, text) in zip(files, [line.json.serialized(), line.csv]) {
            try file.write(contentsOf: Data((text + "\n").utf8))
        }
    }

    /// What a checkpoint remembers of the files.
    func lengths() throws -> [Int] { try files.map { Int(try $0.offset()) } }
}
