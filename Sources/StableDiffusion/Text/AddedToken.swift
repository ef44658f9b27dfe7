/// A token that is found in a prompt as it is written, before words are looked for.
public struct AddedToken: Sendable, Equatable {
    /// As prompts write it.
    public let text: String
    /// Its ids: one, or one a vector for an embedding of several.
    public let ids: [Int32]
    /// Whether it is looked for in the normalized (lower-cased) text; else in the text as typed.
    public let isNormalized: Bool
    /// Whether no letter, digit or underscore may stand beside it.
    public let isSingleWord: Bool

    /// - Parameter ids: not empty; one for each vector.
    public init(text: String, ids: [Int32], isNormalized: Bool = false, isSingleWord: Bool = false) {
        (self.text, self.ids, self.isNormalized, self.isSingleWord) = (text, ids, isNormalized, isSingleWord)
    }
}

/// Tokens by their first scalar, the longest first.
struct TokenTable {
    enum Piece {
        case text(ArraySlice<Unicode.Scalar>)
        case token([Int32])
    }

    private var entries: [Unicode.Scalar: [(scalars: [Unicode.Scalar], token: AddedToken)]] = [:]

    init(_ tokens: [AddedToken], spelled: (String) -> [Unicode.Scalar]) {
        for token in tokens {
            let scalars = spelled(token.text)
            if let first = scalars.first { entries[first, default: []].append((scalars, token)) }
        }
        for first in entries.keys { entries[first]?.sort { $0.scalars.count > $1.scalars.count } }
    }

    /// The text with every token cut out, the longest at the leftmost place first.
    func cut(_ scalars: [Unicode.Scalar]) -> [Piece] {
        var pieces: [Piece] = []
        var (start, position) = (0, 0)
        while position < scalars.count {
            guard let match = entries[scalars[position]]?.first(where: { matches($0, scalars, position) }) else {
                position += 1
                continue
            }
            if start < position { pieces.append(.text(scalars[start..<position])) }
            pieces.append(.token(match.token.ids))
            position += match.scalars.count
            start = position
        }
        if start < scalars.count { pieces.append(.text(scalars[start...])) }
        return pieces
    }

    private func matches(
        _ entry: (scalars: [Unicode.Scalar], token: AddedToken), _ scalars: [Unicode.Scalar], _ position: Int
    ) -> Bool {
        guard scalars[position...].starts(with: entry.scalars) else { return false }
        guard entry.token.isSingleWord else { return true }
        let end = position + entry.scalars.count
        let isFree = position == 0 || !Self.isWordCharacter(scalars[position - 1])
        return isFree && (end == scalars.count || !Self.isWordCharacter(scalars[end]))
    }

    private static func isWordCharacter(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.isAlphabetic || scalar == "_" || scalar.properties.numericType == .decimal
            || [.nonspacingMark, .spacingMark, .enclosingMark].contains(scalar.properties.generalCategory)
    }
}
