import Files

/// `metrics.ndjson` and `metrics.csv`, one line per step.
struct MetricsLog {
    private let lines: AppendedFile
    private let table: AppendedFile

    /// - Parameter lengths: bytes of the files that belong to the checkpoint; the rest is cut off. Nil starts anew.
    init(folder: String, lengths: [Int]?) throws {
        lines = try AppendedFile(path: "\(folder)/metrics.ndjson", keeping: lengths?[0] ?? 0)
        table = try AppendedFile(path: "\(folder)/metrics.csv", keeping: lengths?[1] ?? 0)
        let header = TrainingMetrics.columns.joined(separator: ",")
        if lengths == nil {
            try table.append(header + "\n")
        } else {
            try Self.check(table.path, startsWith: header)
        }
    }

    /// A log of other columns is not continued: its lines would mean something else from here on.
    private static func check(_ path: String, startsWith header: String) throws {
        let start = try MappedFile.withBytes(of: path) { Array($0.prefix(header.utf8.count)) }
        guard start.isEmpty || start == Array(header.utf8) else {
            throw SimpleFailure(
                .badData, "\(path): expected the columns \(header); it is another version's log: train in another folder")
        }
    }

    func append(_ line: TrainingMetrics) throws {
        try lines.append(line.json.serialized() + "\n")
        try table.append(line.csv + "\n")
    }

    /// What a checkpoint remembers of the files.
    var lengths: [Int] { [lines.length, table.length] }
}
