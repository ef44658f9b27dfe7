import Foundation
import Tensors

/// `metrics.ndjson` and `metrics.csv`, one line per step, written out with each checkpoint.
struct MetricsLog {
    private let files: [FileHandle]
    private var pending: [String] = ["", ""]

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
            try file.truncate(atOffset: UInt64(lengths?[index] ?? 0))
            files.append(file)
        }
        self.files = files
        if lengths == nil { pending[1] = TrainingMetrics.columns.joined(separator: ",") + "\n" }
    }

    mutating func append(_ line: TrainingMetrics) throws {
        pending[0] += line.json.serialized() + "\n"
        pending[1] += line.csv + "\n"
    }

    /// Writes what has come since the last time and returns the files' lengths.
    mutating func flush() throws -> [Int] {
        for (index, file) in files.enumerated() {
            try file.seekToEnd()
            try file.write(contentsOf: Data(pending[index].utf8))
            pending[index] = ""
        }
        return try files.map { Int(try $0.offset()) }
    }
}
