import Foundation

/// A piece of a prompt: a word for byte pair encoding, or a token written out.
enum PromptPiece: Equatable {
    case word(String)
    /// The token's ids: several for an embedding of several vectors.
    case token([Int32])
}

/// Cuts a prompt into words as the published CLIP tokenizer does.
///
/// Tokens of their own (start, end, and those that people add) are found first: those that are not normalized in the
/// text as typed, the others after normalization, as the library `tokenizers` does; the longest at the leftmost place
/// wins. The rest is brought to Unicode normalization form C, lower-cased scalar by scalar (full mapping: İ → i + U+0307,
/// and no final sigma), and split by `'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`. White space separates
/// and is dropped.
struct PromptSplitter {
    private let raw: TokenTable
    private let normalized: TokenTable

    init(_ tokens: [AddedToken]) {
        raw = TokenTable(tokens.filter { !$0.isNormalized }) { Array($0.unicodeScalars) }
        normalized = TokenTable(tokens.filter(\.isNormalized), spelled: Self.normalized)
    }

    func pieces(of prompt: String) -> [PromptPiece] {
        raw.cut(Array(prompt.unicodeScalars)).flatMap { piece -> [PromptPiece] in
            switch piece {
            case .token(let ids): return [.token(ids)]
            case .text(let scalars):
                return normalized.cut(Self.normalized(Self.string(scalars))).flatMap { piece -> [PromptPiece] in
                    switch piece {
                    case .token(let ids): [.token(ids)]
                    case .text(let scalars): Self.words(in: scalars).map(PromptPiece.word)
                    }
                }
            }
        }
    }

    /// Runs of white space become one space, which matters to tokens of several words only.
    private static func normalized(_ text: String) -> [Unicode.Scalar] {
        var result: [Unicode.Scalar] = []
        for scalar in text.precomposedStringWithCanonicalMapping.unicodeScalars {
            if !scalar.properties.isWhitespace {
                result += scalar.properties.lowercaseMapping.unicodeScalars
            } else if result.last != " " {
                result.append(" ")
            }
        }
        return result
    }

    private static func words(in scalars: ArraySlice<Unicode.Scalar>) -> [String] {
        var result: [String] = []
        var position = scalars.startIndex
        while position < scalars.endIndex {
            let rest = scalars[position...]
            if let special = loweredSpecials.first(where: { rest.starts(with: $0.joined()) }) {
                result += special.map { string($0[...]) }
                position += special.joined().count
                continue
            }
            let length = lengthOfWord(in: rest)
            if length > 0 { result.append(string(rest.prefix(length))) }
            position += max(length, 1)
        }
        return result
    }

    /// The published pattern also names the special tokens. Only lower-casing can bring one about here (they were
    /// found before it), and the byte-level step that follows in the reference then cuts it at the bars.
    private static let loweredSpecials = [["<|", "startoftext", "|>"], ["<|", "endoftext", "|>"]].map {
        $0.map { Array($0.unicodeScalars) }
    }
    private static let contractions = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"].map { Array($0.unicodeScalars) }

    /// Scalars of the word at the start of `text`; 0 for white space.
    private static func lengthOfWord(in text: ArraySlice<Unicode.Scalar>) -> Int {
        if let contraction = contractions.first(where: { text.starts(with: $0) }) { return contraction.count }
        guard let first = text.first else { return 0 }
        switch ScalarClass(first) {
        case .space: return 0
        case .number: return 1
        case let kind: return text.prefix { ScalarClass($0) == kind }.count
        }
    }

    private static func string(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }
}

/// What the pattern's classes tell apart: `\p{L}`, `\p{N}`, `\s` and everything else.
private enum ScalarClass {
    case letter, number, space, other

    init(_ scalar: Unicode.Scalar) {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: self = .letter
        case .decimalNumber, .letterNumber, .otherNumber: self = .number
        default: self = scalar.properties.isWhitespace ? .space : .other
        }
    }
}
