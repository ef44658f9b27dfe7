import Files
import Foundation
import Ops
import Reports
import SparseAutoencoders

/// An autoencoder's evaluation as JSON, as one page, and as a few lines.
public struct AutoencoderReport {
    /// What was evaluated, such as the autoencoder's folder.
    public let name: String
    /// The hook point whose activations were reconstructed.
    public let layer: String
    /// Reconstruction and sparsity, over all tokens and by time step.
    public let evaluation: SAEEvaluation
    /// What the encoder's and, for the loss recovered, the U-Net's products were rounded to.
    public let precision: Precision
    /// The feature whose decoder row is nearest to each feature's own, and their cosine.
    public var neighbours: [(feature: Int, cosine: Float)] = []
    /// Each feature's partner in `other`, nil where none is left.
    public var matches: [(feature: Int, cosine: Float)?]?
    /// What `matches` belong to; nil: features were not matched.
    public var other: String?
    /// The loss recovered in the model; nil: not measured.
    public var recovered: LossRecovered?

    init(name: String, layer: String, evaluation: SAEEvaluation, precision: Precision) {
        (self.name, self.layer, self.evaluation, self.precision) = (name, layer, evaluation, precision)
    }

    /// Writes `eval.json` and `eval.html` into `folder`, which is made if it is missing.
    ///
    /// - Throws: `FileFailure.exists` if there is one and `overwrite` is false, `.cannotWrite`.
    public func write(to folder: String, overwrite: Bool) throws {
        try OutputFile.makeFolder(folder)
        try json.write(to: "\(folder)/eval.json", overwrite: overwrite)
        try OutputFile.write(html.utf8, to: "\(folder)/eval.html", overwrite: overwrite)
    }

    /// The files that `write` makes in `folder`.
    public static func files(in folder: String) -> [String] { ["eval.json", "eval.html"].map { "\(folder)/\($0)" } }

    /// As `eval.json`: the evaluation's numbers, cosines summed up, and under `per_feature` lists by feature.
    public var json: JSON {
        var object = evaluation.json.object ?? JSONObject()
        object["autoencoder"] = .string(name)
        object["layer"] = .string(layer)
        object["precision"] = precision.recorded.map { .string($0) }
        object["decoder_neighbours"] = cosines(neighbours.map(\.cosine))
        if let matched { object["matched"] = cosines(matched) }
        if let other { object["matched_with"] = .string(other) }
        if let recovered { object["loss_recovered"] = recovered.json }
        object["per_feature"] = perFeature
        return .object(object)
    }

    /// Cosines with the partners, 0 where there is none.
    private var matched: [Float]? { matches.map { $0.map { $0?.cosine ?? 0 } } }

    /// Lists with a number for each feature.
    private var perFeature: JSON {
        var object = JSONObject()
        object["density"] = .array(evaluation.density.map { .number($0) })
        object["neighbour"] = .array(neighbours.map { .integer($0.feature) })
        object["neighbour_cosine"] = .array(neighbours.map { .float($0.cosine) })
        if let matches, let matched {
            object["match"] = .array(matches.map { $0.map { .integer($0.feature) } ?? .null })
            object["match_cosine"] = .array(matched.map { .float($0) })
        }
        return .object(object)
    }

    private func cosines(_ values: [Float]) -> JSON {
        let sorted = values.sorted()
        let mean = values.reduce(0.0) { $0 + Double($1) } / Double(max(1, values.count))
        return [
            "mean": .number(mean), "median": .float(sorted.isEmpty ? 0 : sorted[sorted.count / 2]),
            "above_0.7": .integer(values.count { $0 > 0.7 }), "above_0.9": .integer(values.count { $0 > 0.9 }),
        ]
    }

    /// The headline numbers, one a line, as `name: value`.
    public var summary: String { rows.map { "\($0.0): \($0.1)" }.joined(separator: "\n") }

    private var rows: [(String, String)] {
        let whole = evaluation.whole
        let features = evaluation.activeTokens.count
        func share(_ count: Int) -> String {
            String(format: "%d of %d (%.2f %%)", count, features, 100 * Double(count) / Double(features))
        }
        var rows = [
            ("Tokens", "\(whole.tokens)"), ("FVU", String(format: "%.4f", whole.fvu)),
            ("Explained variance", String(format: "%.4f", whole.explainedVariance)),
            ("Active features per token", String(format: "%.2f", whole.l0)),
            ("Dead latents", share(evaluation.dead)),
            ("Ultra-dense features (active in more than a tenth)", share(evaluation.ultraDense)),
            ("Features with a decoder neighbour above cosine 0.9", share(neighbours.count { $0.cosine > 0.9 })),
        ]
        if let precision = precision.recorded { rows.append(("Precision", precision)) }
        if let matched, let other {
            let mean = matched.reduce(0.0) { $0 + Double($1) } / Double(max(1, matched.count))
            rows.append(("Mean cosine with the partners in \(other)", String(format: "%.4f", mean)))
            rows.append(("Features with a partner above cosine 0.7", share(matched.count { $0 > 0.7 })))
            rows.append(("Features with a partner above cosine 0.9", share(matched.count { $0 > 0.9 })))
        }
        if let whole = recovered?.whole {
            let format = "%.4f (error %.5f; model alone %.5f; layer set to zero %.5f)"
            rows.append((
                "Loss recovered in the model",
                String(format: format, whole.recovered, whole.reconstruction, whole.model, whole.zero)
            ))
        }
        return rows
    }

    /// One page without scripts or other files.
    public var html: String {
        let cells = rows.map { "<tr><td>\(Text.htmlEscaped($0.0))</td><td>\(Text.htmlEscaped($0.1))</td></tr>" }
            .joined(separator: "\n")
        let charts = charts.map { $0.svg() }.joined(separator: "\n")
        return """
            <!DOCTYPE html>
            <html lang="en"><meta charset="utf-8"><title>\(Text.htmlEscaped(layer)): sparse autoencoder</title>
            <style>body{font:15px system-ui,sans-serif;max-width:46em;margin:2em auto;padding:0 1em}
            td{padding:.2em 1.5em .2em 0;border-bottom:1px solid #ddd}
            svg{max-width:100%;display:block;margin:1em 0}</style>
            <h1>\(Text.htmlEscaped(layer))</h1><p>\(Text.htmlEscaped(name))</p>
            <table>\(cells)</table>
            \(charts)
            </html>

            """
    }

    private var charts: [LineChart] {
        let steps = evaluation.byTimestep.sorted { $0.key < $1.key }
        func line(_ name: String, _ value: (SAEEvaluation.Part) -> Double) -> LineChart.Series {
            .init(name: name, points: steps.map { (Double($0.key), value($0.value)) })
        }
        var charts = [
            LineChart(
                title: "Reconstruction by time step", xLabel: "time step", yLabel: "",
                series: [line("FVU") { $0.fvu }, line("explained variance") { $0.explainedVariance }]),
            LineChart(
                title: "Active features by time step", xLabel: "time step", yLabel: "",
                series: [line("active") { $0.l0 }]),
            LineChart(
                title: "Features by density", xLabel: "log₁₀ of the share of tokens", yLabel: "features",
                series: [.init(name: "features", points: evaluation.histogram.map { ($0.from, Double($0.count)) })]),
            cosineChart("Features by cosine with their decoder neighbour", neighbours.map(\.cosine)),
        ]
        if let matched, let other { charts.append(cosineChart("Features by cosine with their partner in \(other)", matched)) }
        if let recovered {
            let points = recovered.byTimestep.sorted { $0.key < $1.key }.map { (Double($0.key), $0.value.recovered) }
            charts.append(
                LineChart(
                    title: "Loss recovered by time step", xLabel: "time step", yLabel: "",
                    series: [.init(name: "recovered", points: points)]))
        }
        return charts
    }

    /// How many cosines lie in each twentieth of 0…1.
    private func cosineChart(_ title: String, _ cosines: [Float]) -> LineChart {
        var counts = [Int](repeating: 0, count: 20)
        for cosine in cosines { counts[min(19, max(0, Int(cosine * 20)))] += 1 }
        let points = counts.enumerated().map { ((Double($0) + 0.5) / 20, Double($1)) }
        return LineChart(
            title: title, xLabel: "cosine", yLabel: "features", series: [.init(name: "features", points: points)])
    }
}
