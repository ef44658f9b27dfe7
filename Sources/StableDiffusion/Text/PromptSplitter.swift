import Foundation

/// A piece of a prompt: a word for byte pair encoding, or one of the two special tokens written out.
enum PromptPiece: Equatable {
    case word(String)
    case start
    case end
}

/// Cuts a prompt into words as the published CLIP tokenizer does.
///
/// Special tokens written in a prompt are found first, in the text as typed. The rest is brought to Unicode
/// normalization form C, lower-cased scalar by scalar (full mapping: İ → i + U+0307, and no final sigma), and split
/// by `'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`. White space separates and is dropped.
struct PromptSplitter {
    let start: String
    let end: String

    func pieces(of prompt: String) -> [PromptPiece] {
        var result: [PromptPiece] = []
        let scalars = Array(prompt.unicodeScalars)
        let specials: [(text: [Unicode.Scalar], piece: PromptPiece)] = [
            (Array(start.unicodeScalars), .start), (Array(end.unicodeScalars), .end),
        ]
        var plain = String.UnicodeScalarView()
        var position = 0
        while position < scalars.count {
            if let special = specials.first(where: { scalars[position...].starts(with: $0.text) }) {
                result += words(in: String(plain)).map(PromptPiece.word)
                plain = String.UnicodeScalarView()
                result.append(special.piece)
                position += special.text.count
            } else {
                plain.append(scalars[position])
                position += 1
            }
        }
        return result + words(in: String(plain)).map(PromptPiece.word)
    }

    private func words(in text: String) -> [String] {
        let normal = text.precomposedStringWithCanonicalMapping
        let scalars = normal.unicodeScalars.flatMap { Array($0.properties.lowercaseMapping.unicodeScalars) }
        var result: [String] = []
        var position = 0
        while position < scalars.count {
            let rest = scalars[position...]
            if let special = Self.loweredSpecials.first(where: { rest.starts(with: $0.joined()) }) {
                result += special.map { Self.string($0[...]) }
                position += special.joined().count
                continue
            }
            let length = Self.lengthOfWord(in: rest)
            if length > 0 { result.append(Self.string(rest.prefix(length))) }
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
