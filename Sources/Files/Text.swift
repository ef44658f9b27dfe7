/// Small operations on text that several modules need.
public enum Text {
    /// The name somebody may have meant: the nearest by edit distance, of equally near ones the first. Nil without names.
    public static func nearest(to text: String, among names: some Sequence<String>) -> String? {
        names.map { (name: $0, distance: editDistance(text, $0)) }.min { $0.distance < $1.distance }?.name
    }

    /// Levenshtein distance in Unicode scalars: insertions, deletions, substitutions.
    public static func editDistance(_ a: String, _ b: String) -> Int {
        let (a, b) = (Array(a.unicodeScalars), Array(b.unicodeScalars))
        var row = Array(0...b.count)
        for i in a.indices {
            var diagonal = row[0]
            row[0] = i + 1
            for j in b.indices {
                let substituted = diagonal + (a[i] == b[j] ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(substituted, row[j] + 1, diagonal + 1)
            }
        }
        return row[b.count]
    }

    /// A number in at least `width` digits; names made of it sort as numbers do.
    public static func digits(_ number: Int, _ width: Int) -> String { right("\(number)", width, fill: "0") }

    /// Text at the left end of a column.
    public static func left(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    /// Text at the right end of a column.
    public static func right(_ text: String, _ width: Int, fill: Character = " ") -> String {
        String(repeating: fill, count: max(0, width - text.count)) + text
    }

    /// Text inside HTML, SVG and their attributes.
    public static func htmlEscaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;")
    }

    /// FNV-1a, 64 bits: a hash that is the same in every process, unlike `Hasher`'s.
    public static func fnv1a(_ bytes: some Sequence<UInt8>) -> UInt64 {
        bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }
}

extension Duration {
    /// The duration in seconds.
    public var inSeconds: Double { self / .seconds(1) }
}
