import Files

/// A line chart as SVG text.
///
/// Colours come from CSS variables where the surrounding page sets them (`--ink`, `--faint`, `--series-1` …), with
/// defaults that read well on white, so that one file serves a light page, a dark page, and a viewer of its own.
public struct LineChart: Sendable {
    public struct Series: Sendable {
        public let name: String
        /// Points in ascending x; a value that is not finite interrupts the line.
        public let points: [(x: Double, y: Double)]

        public init(name: String, points: [(x: Double, y: Double)]) {
            self.name = name
            self.points = points
        }
    }

    /// A vertical line with a label, such as a peak.
    public struct Mark: Sendable {
        public let x: Double
        public let label: String

        public init(x: Double, label: String) {
            self.x = x
            self.label = label
        }
    }

    /// A horizontal line with a label, such as what is to be reached.
    public struct Level: Sendable {
        public let y: Double
        public let label: String

        public init(y: Double, label: String) {
            self.y = y
            self.label = label
        }
    }

    public var title: String
    public var xLabel: String
    public var yLabel: String
    public var series: [Series]
    public var marks: [Mark]
    public var levels: [Level]
    public var width: Int
    public var height: Int
    /// Whether the y axis begins at 0 even if no value does.
    public var fromZero: Bool

    public init(
        title: String, xLabel: String, yLabel: String, series: [Series], marks: [Mark] = [], levels: [Level] = [],
        width: Int = 560, height: Int = 220, fromZero: Bool = true
    ) {
        self.title = title
        self.xLabel = xLabel
        self.yLabel = yLabel
        self.series = series
        self.marks = marks
        self.levels = levels
        self.width = width
        self.height = height
        self.fromZero = fromZero
    }

    private static let colors = ["#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed", "#0891b2", "#be185d", "#4d7c0f"]
    private static let margin = (left: 52.0, right: 12.0, top: 26.0, bottom: 38.0)

    /// The `<svg>` element. `data-left` and `data-right` are the pixels of the x axis's ends, `data-low` and `data-high`
    /// their values, for scripts that place a cursor.
    public func svg() -> String {
        let x = Axis(values: series.flatMap { $0.points.map(\.x) } + marks.map(\.x), fromZero: false, tight: true)
        let y = Axis(values: series.flatMap { $0.points.map(\.y) } + levels.map(\.y), fromZero: fromZero, tight: false)
        let frame = Frame(chart: self, x: x, y: y)
        var text = """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(width) \(height)" class="chart" role="img" \
            aria-label="\(Text.htmlEscaped(title))" data-left="\(short(frame.left))" data-right="\(short(frame.right))" \
            data-low="\(short(x.low))" data-high="\(short(x.high))" font-family="system-ui, sans-serif" font-size="11">
            <text x="\(short(frame.left))" y="14" font-weight="600" fill="var(--ink, #222)">\(Text.htmlEscaped(title))</text>

            """
        text += frame.axes(xLabel: xLabel, yLabel: yLabel)
        for mark in marks { text += frame.mark(mark) }
        for level in levels { text += frame.level(level) }
        for (index, line) in series.enumerated() {
            text += frame.line(line, color: "var(--series-\(index % 8 + 1), \(Self.colors[index % 8]))")
        }
        if series.count > 1 { text += legend(right: frame.right) }
        return text + "</svg>\n"
    }

    private func legend(right: Double) -> String {
        var text = "<g class=\"legend\">\n"
        var end = right
        for (index, line) in series.enumerated().reversed() {
            text += """
                <text x="\(short(end))" y="14" text-anchor="end" fill="var(--series-\(index % 8 + 1), \
                \(Self.colors[index % 8]))">\(Text.htmlEscaped(line.name))</text>

                """
            end -= Double(line.name.count) * 6.2 + 12
        }
        return text + "</g>\n"
    }

    /// Values to pixels.
    private struct Frame {
        let left: Double
        let right: Double
        let top: Double
        let bottom: Double
        let x: Axis
        let y: Axis

        init(chart: LineChart, x: Axis, y: Axis) {
            left = LineChart.margin.left
            right = Double(chart.width) - LineChart.margin.right
            top = LineChart.margin.top
            bottom = Double(chart.height) - LineChart.margin.bottom
            self.x = x
            self.y = y
        }

        func px(_ value: Double) -> Double { left + (value - x.low) / (x.high - x.low) * (right - left) }
        func py(_ value: Double) -> Double { bottom - (value - y.low) / (y.high - y.low) * (bottom - top) }

        func axes(xLabel: String, yLabel: String) -> String {
            var text = ""
            for tick in y.ticks {
                let at = short(py(tick))
                text += """
                    <line x1="\(short(left))" x2="\(short(right))" y1="\(at)" y2="\(at)" stroke="var(--faint, #ddd)"/>
                    <text x="\(short(left - 5))" y="\(short(py(tick) + 4))" text-anchor="end" \
                    fill="var(--soft, #666)">\(short(tick))</text>

                    """
            }
            for tick in x.ticks {
                text += """
                    <text x="\(short(px(tick)))" y="\(short(bottom + 14))" text-anchor="middle" \
                    fill="var(--soft, #666)">\(short(tick))</text>

                    """
            }
            let middle = short((top + bottom) / 2)
            return text + """
                <text x="\(short((left + right) / 2))" y="\(short(bottom + 31))" text-anchor="middle" \
                fill="var(--soft, #666)">\(Text.htmlEscaped(xLabel))</text>
                <text transform="translate(11 \(middle)) rotate(-90)" text-anchor="middle" \
                fill="var(--soft, #666)">\(Text.htmlEscaped(yLabel))</text>

                """
        }

        func mark(_ mark: Mark) -> String {
            let at = px(mark.x)
            let anchor = at > right - 40 ? "end" : "start"
            return """
                <line x1="\(short(at))" x2="\(short(at))" y1="\(short(top))" y2="\(short(bottom))" \
                stroke="var(--mark, #dc2626)" stroke-dasharray="3 3"/>
                <text x="\(short(at + (anchor == "end" ? -3 : 3)))" y="\(short(top + 9))" text-anchor="\(anchor)" \
                fill="var(--mark, #dc2626)">\(Text.htmlEscaped(mark.label))</text>

                """
        }

        func level(_ level: Level) -> String {
            let at = py(level.y)
            return """
                <line x1="\(short(left))" x2="\(short(right))" y1="\(short(at))" y2="\(short(at))" \
                stroke="var(--mark, #dc2626)" stroke-dasharray="3 3"/>
                <text x="\(short(left + 4))" y="\(short(at < top + 14 ? at + 12 : at - 4))" \
                fill="var(--mark, #dc2626)">\(Text.htmlEscaped(level.label))</text>

                """
        }

        func line(_ series: Series, color: String) -> String {
            let runs = series.points.split { !$0.x.isFinite || !$0.y.isFinite }
            return runs.map { run in
                let points = run.map { "\(short(px($0.x))),\(short(py($0.y)))" }.joined(separator: " ")
                return """
                    <polyline points="\(points)" fill="none" stroke="\(color)" stroke-width="1.6" \
                    stroke-linejoin="round"/>

                    """
            }.joined()
        }
    }
}

/// The range of an axis and the round numbers on it.
struct Axis {
    let low: Double
    let high: Double
    let ticks: [Double]

    /// - Parameter tight: whether the range ends at the outermost values rather than at round numbers.
    init(values: [Double], fromZero: Bool, tight: Bool) {
        let finite = values.filter(\.isFinite)
        var (least, most) = (finite.min() ?? 0, finite.max() ?? 1)
        if fromZero { (least, most) = (min(least, 0), max(most, 0)) }
        if least == most { most = least + 1 }
        let step = Self.roundStep((most - least) / (tight ? 6 : 4))
        // A line that dips a little below 0 should not cost a whole step of height.
        let dips = fromZero && least < 0 && -least < 0.3 * step
        low = tight || dips ? least : (least / step).rounded(.down) * step
        high = tight ? most : (most / step).rounded(.up) * step
        let first = (low / step - 1e-9).rounded(.up)
        let last = (high / step + 1e-9).rounded(.down)
        ticks = stride(from: first, through: last, by: 1).map { $0 * step }
    }

    /// The next of 1, 2, 5 times a power of ten.
    private static func roundStep(_ width: Double) -> Double {
        var power = 1.0
        while power * 10 <= width { power *= 10 }
        while power > width { power /= 10 }
        return [1, 2, 5, 10].map { $0 * power }.first { $0 >= width * 0.999 } ?? 10 * power
    }
}

/// Four significant digits, without trailing zeros.
func short(_ value: Double) -> String {
    guard value.isFinite else { return "–" }
    if value == 0 { return "0" }
    if abs(value) >= 1e6 || abs(value) < 1e-4 { return "\(Float(value))" }
    var decimals = 0
    var magnitude = abs(value)
    while magnitude < 1000 && decimals < 7 {
        magnitude *= 10
        decimals += 1
    }
    var scale = 1.0
    for _ in 0..<decimals { scale *= 10 }
    let rounded = (value * scale).rounded() / scale
    return rounded == rounded.rounded() && abs(rounded) < 1e15 ? "\(Int(rounded))" : "\(rounded)"
}
