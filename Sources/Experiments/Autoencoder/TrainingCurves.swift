import Files
import Foundation
import Ops
import Reports
import SparseAutoencoders

/// The curves of a training run as one SVG file, from its `metrics.csv`.
enum TrainingCurves {
    /// - Throws: `Failure` if `FOLDER/metrics.csv` cannot be read or `FOLDER/curves.svg` not written.
    static func write(folder: String, precision: Precision) throws {
        let path = "\(folder)/metrics.csv"
        let lines = try TextLines.read(path).map { $0.split(separator: ",").map { Double($0) ?? .nan } }
        func points(_ column: String) -> [(x: Double, y: Double)] {
            guard let index = TrainingMetrics.columns.firstIndex(of: column) else { return [] }
            return thinned(lines.dropFirst().filter { $0.count > index }.map { (x: $0[0], y: $0[index]) })
        }
        let note = precision.recorded.map { ", trained in \($0)" } ?? ""
        let charts = [
            ("Reconstruction\(note)", ["fvu", "explained_variance"]), ("Features, percent", ["dead_percent", "fired_percent"]),
            ("Active features per token", ["l0"]), ("AuxK", ["auxk"]), ("Learning rate", ["learning_rate"]),
            ("Tokens per second", ["tokens_per_second"]),
        ]
        let height = 220
        var svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"560\" height=\"\(height * charts.count)\">\n"
        for (index, (title, columns)) in charts.enumerated() {
            let chart = LineChart(
                title: title, xLabel: "step", yLabel: "",
                series: columns.map { LineChart.Series(name: $0, points: points($0)) }, height: height)
            svg += "<svg y=\"\(index * height)\" width=\"560\" height=\"\(height)\">\(chart.svg())</svg>\n"
        }
        try OutputFile.write((svg + "</svg>\n").utf8, to: "\(folder)/curves.svg", overwrite: true)
    }

    /// At most a thousand points: means of equal runs.
    private static func thinned(_ points: [(x: Double, y: Double)]) -> [(x: Double, y: Double)] {
        let run = (points.count + 999) / 1000
        guard run > 1 else { return points }
        return stride(from: 0, to: points.count, by: run).map { start in
            let part = points[start..<min(points.count, start + run)]
            let count = Double(part.count)
            return (part.reduce(0) { $0 + $1.x } / count, part.reduce(0) { $0 + $1.y } / count)
        }
    }
}
