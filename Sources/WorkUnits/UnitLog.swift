import Files
import Foundation

/// How long units took, for estimates: lines of JSON in a file per process under `log/`. Results know nothing of it.
public struct UnitLog {
    private let path: String

    public init(study: String) throws {
        try OutputFile.makeFolder("\(study)/log")
        path = "\(study)/log/\(Host.tag).ndjson"
    }

    /// A line that cannot be written is lost: an estimate is not worth stopping for.
    func add(stage: String, unit: String, seconds: Double) {
        let line: JSON = ["stage": .string(stage), "unit": .string(unit), "seconds": JSON.float(Float(seconds))]
        let text = Array((line.serialized() + "\n").utf8)
        let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o666)
        guard file >= 0 else { return }
        _ = write(file, text, text.count)
        close(file)
    }

    /// The mean seconds a unit of each stage took, over all processes so far.
    public static func meanSeconds(study: String) -> [String: Double] {
        var sums: [String: (seconds: Double, count: Double)] = [:]
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "\(study)/log")) ?? []
        for name in names where name.hasSuffix(".ndjson") {
            for line in (try? TextLines.read("\(study)/log/\(name)")) ?? [] {
                guard let entry = try? JSON.parse(line), let stage = entry["stage"]?.string,
                    let seconds = entry["seconds"]?.double
                else { continue }
                let sum = sums[stage] ?? (0, 0)
                sums[stage] = (sum.seconds + seconds, sum.count + 1)
            }
        }
        return sums.mapValues { $0.seconds / $0.count }
    }
}
