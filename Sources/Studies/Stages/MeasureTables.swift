import Reports
import Visualization

/// The tables of a layer's measures: of the study's dreams, and of those that they are compared with, if there are any.
struct MeasureTables {
    private struct Column: Hashable {
        let space: Space
        /// The preset's name for what is there for comparison.
        var way: String?

        var name: String { way.map { "\(space.rawValue), \($0)" } ?? space.rawValue }
    }

    let layer: String
    private var values: [Column: [String: [Double]]] = [:]

    init(layer: String) { self.layer = layer }

    mutating func add(_ dream: FeaturePage.Dream, _ space: Space) {
        add(dream.measures, space)
        for companion in dream.companions { add(companion.measures, space, way: companion.way) }
    }

    mutating func add(_ measures: [(name: String, value: Double?)], _ space: Space, way: String? = nil) {
        for case let (name, value?) in measures {
            values[Column(space: space, way: way), default: [:]][name, default: []].append(value)
        }
    }

    var tables: [SummaryTable] {
        let compared = values.filter { $0.key.way != nil }
        return [Self.table(layer, values.filter { $0.key.way == nil })]
            + (compared.isEmpty ? [] : [Self.table("\(layer), for comparison", compared)])
    }

    private static func table(_ title: String, _ values: [Column: [String: [Double]]]) -> SummaryTable {
        let columns = Space.allCases.flatMap { space in
            values.keys.filter { $0.space == space }.sorted { $0.name < $1.name }
        }
        let names = Measures.ordered(Set(values.values.flatMap(\.keys)))
        let rows = names.map { name in
            (name: name, cells: columns.map { cell(values[$0]?[name] ?? []) })
        }
        return SummaryTable(title: title, columns: columns.map(\.name), rows: rows)
    }

    private static func cell(_ values: [Double]) -> SummaryTable.Cell {
        SummaryTable.Cell(
            median: Measures.quantile(0.5, of: values), lower: Measures.quantile(0.25, of: values),
            upper: Measures.quantile(0.75, of: values), count: values.count)
    }
}
