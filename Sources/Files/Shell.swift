/// Words of a command line.
public enum Shell {
    /// Words as a POSIX shell reads them back.
    public static func line(_ words: [String]) -> String { words.map(quoted).joined(separator: " ") }

    /// A word as a POSIX shell reads it back: as it is if nothing in it means anything, else in single quotes.
    public static func quoted(_ word: String) -> String {
        let plain = "-_./=,+:".unicodeScalars
        let isPlain = !word.isEmpty && word.unicodeScalars.allSatisfy { scalar in
            "a"..."z" ~= scalar || "A"..."Z" ~= scalar || "0"..."9" ~= scalar || plain.contains(scalar)
        }
        return isPlain ? word : "'" + word.replacing("'", with: "'\\''") + "'"
    }
}
