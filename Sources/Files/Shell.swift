/// Words of a command line.
public enum Shell {
    /// Words as a POSIX shell reads them back.
    public static func line(_ words: [String]) -> String { words.map(quoted).joined(separator: " ") }

    /// A word as a POSIX shell reads it back: as it is if nothing in it means anything, else in single quotes.
    public static func quoted(_ word: String) -> String {
        let isPlain = !word.isEmpty && word.unicodeScalars.allSatisfy { scalar in
            scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || "-_./=,+:".unicodeScalars.contains(scalar))
        }
        return isPlain ? word : "'" + word.replacing("'", with: "'\\''") + "'"
    }
}
