import Tensors

/// Prompt syntax of the web interface AUTOMATIC1111: `(x)` weighs x by 1.1, `[x]` by 1/1.1, `(x:1.5)` by 1.5, `BREAK` starts a
/// new chunk; a backslash takes a bracket literally. `<lora:NAME:SCALE>` asks for a file and is no text.
public struct EmphasizedPrompt: Sendable, Equatable {
    /// A stretch of text under one weight.
    public struct Piece: Sendable, Equatable {
        /// The text without its brackets and weight.
        public var text: String
        /// What its hidden states are multiplied by; 1: unchanged.
        public var weight: Float
        /// Whether a new chunk starts after it.
        public var endsChunk = false
    }

    /// In the prompt's order; neighbours have different weights.
    public private(set) var pieces: [Piece] = []
    /// What `<lora:…>` and its like ask for, without the angle brackets.
    public private(set) var networks: [String] = []

    /// Whether a reader of the syntax and one who takes every character as it stands would differ.
    public var isSyntax: Bool {
        !networks.isEmpty || pieces.contains { $0.weight != 1 || $0.endsChunk }
    }

    /// Any text is a prompt: brackets without a partner are taken as the web interfaces take them.
    public init(_ prompt: String) {
        var parser = Parser(Self.withoutNetworks(Array(prompt.unicodeScalars), &networks))
        parser.run()
        for piece in parser.pieces {
            if let last = pieces.last, !last.endsChunk, last.weight == piece.weight {
                pieces[pieces.count - 1].text += piece.text
                pieces[pieces.count - 1].endsChunk = piece.endsChunk
            } else {
                pieces.append(piece)
            }
        }
    }

    /// Cuts out `<name:arguments>`.
    private static func withoutNetworks(_ scalars: [Unicode.Scalar], _ networks: inout [String]) -> [Unicode.Scalar] {
        var result: [Unicode.Scalar] = []
        var position = 0
        let kinds = ["<lora:", "<lyco:", "<hypernet:"].map { Array($0.unicodeScalars) }
        while position < scalars.count {
            if kinds.contains(where: { scalars[position...].starts(with: $0) }),
                let end = scalars[position...].firstIndex(of: ">")
            {
                networks.append(text(scalars[position + 1..<end]))
                position = end + 1
            } else {
                result.append(scalars[position])
                position += 1
            }
        }
        return result
    }

    fileprivate static func text(_ scalars: some Sequence<Unicode.Scalar>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }
}

/// `parse_prompt_attention` of the web interface, step by step.
private struct Parser {
    private let scalars: [Unicode.Scalar]
    private var position = 0
    private(set) var pieces: [EmphasizedPrompt.Piece] = []
    /// Numbers of the pieces at which brackets that are still open began, with what closing them multiplies by.
    private var open: [(piece: Int, isRound: Bool)] = []
    private var plain: [Unicode.Scalar] = []

    init(_ scalars: [Unicode.Scalar]) {
        self.scalars = scalars
    }

    mutating func run() {
        while position < scalars.count { step() }
        flush()
        // A bracket that nothing closes counts all the same.
        for bracket in open.reversed() { multiply(from: bracket.piece, by: bracket.isRound ? 1.1 : 1 / 1.1) }
    }

    private mutating func step() {
        let scalar = scalars[position]
        switch scalar {
        case "\\": takeEscaped()
        case "(", "[":
            flush()
            open.append((pieces.count, scalar == "("))
            position += 1
        case ")" where close(round: true, by: 1.1), "]" where close(round: false, by: 1 / 1.1): position += 1
        case ":":
            if let (weight, end) = weight(), close(round: true, by: weight) {
                position = end
            } else {
                fallthrough
            }
        default:
            plain.append(scalar)
            position += 1
        }
    }

    private mutating func takeEscaped() {
        position += 1
        guard position < scalars.count, "()[]\\".unicodeScalars.contains(scalars[position]) else { return }
        plain.append(scalars[position])
        position += 1
    }

    /// Closes the innermost bracket of a kind; false if there is none.
    private mutating func close(round: Bool, by factor: Float) -> Bool {
        guard let index = open.lastIndex(where: { $0.isRound == round }) else { return false }
        flush()
        multiply(from: open.remove(at: index).piece, by: factor)
        return true
    }

    private mutating func multiply(from piece: Int, by factor: Float) {
        let largest = Float.greatestFiniteMagnitude
        for i in pieces.indices.dropFirst(piece) {
            pieces[i].weight = max(-largest, min(largest, pieces[i].weight * factor))
        }
    }

    /// `: NUMBER )` here: the number, and where what follows starts.
    private func weight() -> (Float, Int)? {
        var end = position + 1
        func skipSpaces() { while end < scalars.count, scalars[end].properties.isWhitespace { end += 1 } }
        skipSpaces()
        let start = end
        if end < scalars.count, scalars[end] == "+" || scalars[end] == "-" { end += 1 }
        while end < scalars.count, scalars[end] == "." || ("0"..."9").contains(scalars[end]) { end += 1 }
        var digits = EmphasizedPrompt.text(scalars[start..<end])
        if digits.hasSuffix(".") { digits += "0" }
        skipSpaces()
        guard end < scalars.count, scalars[end] == ")", let number = Float(digits), number.isFinite else { return nil }
        return (number, end + 1)
    }

    /// Ends the text so far as pieces of weight 1, cut at `BREAK` as a word of its own.
    private mutating func flush() {
        guard !plain.isEmpty else { return }
        var start = 0
        let mark = Array("BREAK".unicodeScalars)
        var i = 0
        while i + mark.count <= plain.count {
            guard plain[i...].starts(with: mark), !isWord(i - 1), !isWord(i + mark.count) else {
                i += 1
                continue
            }
            let before = plain[start..<i].reversed().drop { $0.properties.isWhitespace }.reversed()
            pieces.append(.init(text: EmphasizedPrompt.text(before), weight: 1, endsChunk: true))
            i += mark.count
            while i < plain.count, plain[i].properties.isWhitespace { i += 1 }
            start = i
        }
        if start < plain.count { pieces.append(.init(text: EmphasizedPrompt.text(plain[start...]), weight: 1)) }
        plain = []
    }

    private func isWord(_ index: Int) -> Bool {
        guard plain.indices.contains(index) else { return false }
        return plain[index].properties.isAlphabetic || plain[index] == "_" || plain[index].properties.numericType != nil
    }
}

/// Tokens in chunks of the text encoder's length, each token with its weight.
package struct TokenChunks {
    /// `[chunk][contextLength]`, start and end included.
    package private(set) var ids: [[Int32]] = []
    package private(set) var weights: [[Float]] = []

    private let tokenizer: Tokenizer
    private var tokens: [Int32] = []
    private var factors: [Float] = []
    private var lastComma: Int?

    /// How far back a comma may stand for a full chunk to end after it.
    private static let commaReach = 20

    package init(_ prompt: EmphasizedPrompt, tokenizer: Tokenizer) {
        self.tokenizer = tokenizer
        let comma = tokenizer.vocabulary.id(of: "," + Vocabulary.endOfWord)
        for piece in prompt.pieces {
            for group in tokenizer.groups(of: piece.text) {
                add(group, weight: piece.weight, isComma: group.count == 1 && group[0] == comma)
            }
            if piece.endsChunk { finish() }
        }
        if !tokens.isEmpty || ids.isEmpty { finish() }
    }

    private var room: Int { tokenizer.contextLength - 2 }

    private mutating func add(_ group: [Int32], weight: Float, isComma: Bool) {
        if isComma {
            lastComma = tokens.count
        } else if tokens.count == room, let comma = lastComma, tokens.count - comma <= Self.commaReach {
            let (rest, restFactors) = (tokens[(comma + 1)...], factors[(comma + 1)...])
            (tokens, factors) = (Array(tokens[...comma]), Array(factors[...comma]))
            finish()
            (tokens, factors) = (Array(rest), Array(restFactors))
        }
        if tokens.count == room || tokens.count + group.count > room && !tokens.isEmpty { finish() }
        let fitting = group.prefix(room)
        tokens += fitting
        factors += repeatElement(weight, count: fitting.count)
    }

    private mutating func finish() {
        let padding = room - tokens.count
        ids.append([tokenizer.startID] + tokens + [tokenizer.endID] + repeatElement(tokenizer.padID, count: padding))
        weights.append([1] + factors + repeatElement(1, count: padding + 1))
        (tokens, factors, lastComma) = ([], [], nil)
    }

    /// As many chunks as `count`, empty ones at the end.
    mutating func pad(to count: Int) {
        while ids.count < count { finish() }
    }

    /// Multiplies each token's hidden state by its weight, then brings the mean of all back to what it was, as the web
    /// interface does ("Original").
    ///
    /// - Parameter hidden: of one chunk, `[1, T, C]`.
    static func weigh(_ hidden: Tensor, by weights: [Float]) {
        guard weights.contains(where: { $0 != 1 }) else { return }
        let width = hidden.channels
        let before = hidden.array.reduce(0.0) { $0 + Double($1) }
        for (position, weight) in weights.enumerated() {
            for i in 0..<width { hidden.pointer[position * width + i] *= weight }
        }
        let after = hidden.array.reduce(0.0) { $0 + Double($1) }
        guard after != 0 else { return }
        let factor = Float(before / after)
        for i in 0..<hidden.count { hidden.pointer[i] *= factor }
    }
}
