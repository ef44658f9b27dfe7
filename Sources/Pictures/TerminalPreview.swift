/// Pictures in a terminal, for people on ssh.
public enum TerminalPreview {
    /// What a terminal can show.
    public enum Mode: String, Sendable, CaseIterable {
        /// The kitty graphics protocol (kitty, Ghostty, WezTerm): the PNG itself.
        case kitty
        /// DEC sixel graphics (foot, mlterm, xterm with -ti vt340): 216 colours.
        case sixel
        /// Two pixels per character, upper half block, 24-bit colours.
        case halfBlock
        /// The same with the 256-colour palette.
        case halfBlock256
    }

    /// The best mode the environment's variables announce. Nothing is asked of the terminal itself: an answer that does
    /// not come would stall a script.
    public static func mode(environment: [String: String]) -> Mode {
        let term = environment["TERM"] ?? ""
        let program = (environment["TERM_PROGRAM"] ?? "").lowercased()
        if environment["KITTY_WINDOW_ID"]?.isEmpty == false || term.contains("kitty") || term.contains("ghostty")
            || program == "ghostty" || program == "wezterm"
        {
            return .kitty
        }
        if ["foot", "mlterm", "yaft"].contains(where: term.hasPrefix) || term.contains("sixel") { return .sixel }
        let color = environment["COLORTERM"] ?? ""
        return color == "truecolor" || color == "24bit" || term.contains("direct") ? .halfBlock : .halfBlock256
    }

    /// The characters to send, ending in a newline. `columns` bounds the width of half blocks (one pixel a column).
    ///
    /// - Throws: `SimpleFailure(.internalError)` if the PNG for kitty cannot be made.
    public static func render(_ bitmap: Bitmap, mode: Mode, columns: Int) throws -> String {
        switch mode {
        case .kitty: try kitty(bitmap)
        case .sixel: sixel(bitmap)
        case .halfBlock, .halfBlock256: halfBlocks(bitmap, columns: columns, palette: mode == .halfBlock256)
        }
    }

    /// Pictures side by side, in as many rows as it takes.
    ///
    /// - Throws: as above.
    public static func render(_ pictures: [Bitmap], mode: Mode, columns: Int) throws -> String {
        guard !pictures.isEmpty else { return "" }
        let isCoarse = mode == .halfBlock || mode == .halfBlock256
        let perRow = min(pictures.count, isCoarse ? max(1, columns / coarseWidth) : 8)
        let width = isCoarse ? min(2 * coarseWidth, (columns + 1) / perRow - 1) : fineWidth
        return try stride(from: 0, to: pictures.count, by: perRow).map { start in
            let row = pictures[start..<min(start + perRow, pictures.count)].map { picture in
                let large = isCoarse ? picture : picture.enlarged(by: max(1, width / picture.width))
                return large.fitting(width: width, height: Int.max)
            }
            return try render(strip(row, gap: isCoarse ? 1 : 8), mode: mode, columns: columns)
        }.joined()
    }

    /// Characters that a picture in half blocks takes at least, where there is room.
    private static let coarseWidth = 32
    /// Pixels that a picture takes otherwise.
    private static let fineWidth = 192

    private static func strip(_ pictures: [Bitmap], gap: Int) -> Bitmap {
        let height = pictures.map(\.height).max() ?? 1
        let width = pictures.reduce(0) { $0 + $1.width } + gap * (pictures.count - 1)
        var strip = Bitmap(width: width, height: height, red: 0, green: 0, blue: 0)
        var x = 0
        for picture in pictures {
            strip.draw(picture, x: x, y: 0)
            x += picture.width + gap
        }
        return strip
    }

    private static func halfBlocks(_ bitmap: Bitmap, columns: Int, palette: Bool) -> String {
        let small = bitmap.fitting(width: max(1, columns), height: Int.max)
        func color(_ x: Int, _ y: Int, _ layer: Int) -> String {
            guard y < small.height else { return layer == 38 ? "39" : "49" }
            let at = (y * small.width + x) * 3
            let (r, g, b) = (Int(small.pixels[at]), Int(small.pixels[at + 1]), Int(small.pixels[at + 2]))
            guard palette else { return "\(layer);2;\(r);\(g);\(b)" }
            // The 6×6×6 cube of the 256 colours lies at 16; its levels are 0, 95, 135, … 255.
            let cube = [r, g, b].map { $0 < 48 ? 0 : min(5, max(1, ($0 - 35) / 40)) }
            return "\(layer);5;\(16 + 36 * cube[0] + 6 * cube[1] + cube[2])"
        }
        var text = ""
        for y in stride(from: 0, to: small.height, by: 2) {
            for x in 0..<small.width { text += "\u{1B}[\(color(x, y, 38));\(color(x, y + 1, 48))m▀" }
            text += "\u{1B}[0m\n"
        }
        return text
    }

    private static func kitty(_ bitmap: Bitmap) throws -> String {
        let payload = Array(base64(try PNG.encode(bitmap)).utf8)
        var text = ""
        // The protocol takes at most 4096 characters at a time; m=1 announces more.
        for start in stride(from: 0, to: payload.count, by: 4096) {
            let end = min(start + 4096, payload.count)
            let control = (start == 0 ? "f=100,a=T," : "") + "m=\(end < payload.count ? 1 : 0)"
            text += "\u{1B}_G\(control);\(String(decoding: payload[start..<end], as: UTF8.self))\u{1B}\\"
        }
        return text + "\n"
    }

    /// Six rows at a time, one pass over a band per colour present; colours are the 6×6×6 cube.
    private static func sixel(_ bitmap: Bitmap) -> String {
        let count = bitmap.width * bitmap.height
        let colors = (0..<count).map { i in
            (0..<3).reduce(0) { $0 * 6 + (Int(bitmap.pixels[3 * i + $1]) * 5 + 127) / 255 }
        }
        var text = "\u{1B}Pq\"1;1;\(bitmap.width);\(bitmap.height)"
        for color in Set(colors).sorted() {
            text += "#\(color);2;\(color / 36 * 20);\(color / 6 % 6 * 20);\(color % 6 * 20)"
        }
        for top in stride(from: 0, to: bitmap.height, by: 6) {
            let bottom = min(top + 6, bitmap.height)
            for color in Set(colors[top * bitmap.width..<bottom * bitmap.width]).sorted() {
                text += "#\(color)"
                for x in 0..<bitmap.width {
                    let bits = (top..<bottom).reduce(0) { sum, y in
                        colors[y * bitmap.width + x] == color ? sum | 1 << (y - top) : sum
                    }
                    text.unicodeScalars.append(Unicode.Scalar(UInt8(63 + bits)))
                }
                text += "$"
            }
            text += "-"
        }
        return text + "\u{1B}\\\n"
    }

    private static func base64(_ bytes: [UInt8]) -> String {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        var text = ""
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let value = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
            for k in 0..<4 { text += k <= group.count ? String(digits[value >> (18 - 6 * k) & 63]) : "=" }
        }
        return text
    }
}
