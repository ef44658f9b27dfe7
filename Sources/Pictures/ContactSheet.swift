/// Many pictures on one, in a grid with gaps, each with an optional line of text above it.
public struct ContactSheet: Sendable {
    /// A picture with a line of text below it.
    public struct Cell: Sendable {
        /// The picture.
        public let picture: Bitmap
        /// The text; empty for none.
        public let label: String

        /// A picture with a line of text below it.
        public init(_ picture: Bitmap, label: String = "") {
            self.picture = picture
            self.label = label
        }
    }

    /// Rows of cells; nil leaves a place empty.
    public var rows: [[Cell?]]
    /// Pixels between cells and around the sheet.
    public var gap: Int
    /// Pixels of a cell's picture are repeated this many times each way.
    public var enlargement: Int
    /// Written above everything.
    public var title: String

    /// - Parameters:
    ///   - rows: of cells; nil leaves a place empty.
    ///   - gap: pixels between cells.
    ///   - enlargement: pixels for each pixel of a picture, along both axes.
    ///   - title: a line above everything; empty for none.
    public init(rows: [[Cell?]], gap: Int = 6, enlargement: Int = 1, title: String = "") {
        self.rows = rows
        self.gap = gap
        self.enlargement = enlargement
        self.title = title
    }

    /// Fills rows of `columns` cells from left to right.
    public init(_ cells: [Cell], columns: Int, gap: Int = 6, enlargement: Int = 1, title: String = "") {
        precondition(columns > 0, "\(columns) columns")
        let rows = stride(from: 0, to: cells.count, by: columns).map { start in
            Array(cells[start..<min(start + columns, cells.count)]).map(Optional.some)
        }
        self.init(rows: rows, gap: gap, enlargement: enlargement, title: title)
    }

    private static let background: UInt8 = 250
    private static let ink: UInt8 = 40

    /// The sheet: columns as wide as the widest picture, labels cut to their column.
    public func draw() -> Bitmap {
        let cells = rows.flatMap { $0 }.compactMap { $0 }
        let cellWidth = (cells.map(\.picture.width).max() ?? 1) * enlargement
        let cellHeight = (cells.map(\.picture.height).max() ?? 1) * enlargement
        let hasLabels = cells.contains { !$0.label.isEmpty }
        let textScale = max(1, min(cellWidth / 160, 3))
        let labelHeight = hasLabels ? Font.height * textScale + 2 : 0
        let titleHeight = title.isEmpty ? 0 : Font.height * textScale + gap
        let columns = max(1, rows.map(\.count).max() ?? 1)
        let (stepX, stepY) = (cellWidth + gap, cellHeight + labelHeight + gap)
        var sheet = Bitmap(
            width: gap + columns * stepX, height: gap + titleHeight + max(1, rows.count) * stepY,
            red: Self.background, green: Self.background, blue: Self.background)
        sheet.write(title, x: gap, y: gap, scale: textScale, width: sheet.width - 2 * gap, level: Self.ink)
        for (row, cells) in rows.enumerated() {
            for (column, cell) in cells.enumerated() {
                guard let cell else { continue }
                let (x, y) = (gap + column * stepX, gap + titleHeight + row * stepY)
                sheet.write(cell.label, x: x, y: y, scale: textScale, width: cellWidth, level: Self.ink)
                sheet.draw(cell.picture.enlarged(by: enlargement), x: x, y: y + labelHeight)
            }
        }
        return sheet
    }
}

extension Bitmap {
    /// Writes a line of grey text with its top left corner at (x, y), cut to `width` pixels.
    mutating func write(_ text: String, x: Int, y: Int, scale: Int, width: Int, level: UInt8) {
        for (index, character) in text.prefix(max(0, width / (Font.width * scale))).enumerated() {
            for row in 0..<Font.height * scale {
                for column in 0..<Font.width * scale
                where Font.ink(character, x: column / scale, y: row / scale) {
                    let (px, py) = (x + index * Font.width * scale + column, y + row)
                    guard px < self.width, py < height else { continue }
                    for c in 0..<3 { pixels[(py * self.width + px) * 3 + c] = level }
                }
            }
        }
    }
}
