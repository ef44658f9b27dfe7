import Files

/// The `parameters` text that web interfaces store in their PNG files:
///
///     prompt, maybe several lines
///     Negative prompt: …
///     Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, …
///
/// The third part is recognized by having at least three `key: value` pairs; a value that holds commas stands in
/// quotation marks, as a JSON string.
public enum ParametersText {
    /// The keyword of the PNG text entry.
    public static let keyword = "parameters"

    private static let negative = "Negative prompt:"

    /// The web interface's name for weights after which the mean is brought back. It does not write it, as its default.
    private static let originalEmphasis = "Original"

    /// - Parameters:
    ///   - sampler: what `parameters.sampler` stands for if that is nil.
    ///   - usesPicture: whether the picture was made from another, so that `strength` means something.
    ///   - extra: further keys, such as the model's name.
    public static func text(
        _ parameters: GenerationParameters, sampler: SamplerName, width: Int, height: Int, usesPicture: Bool = false,
        extra: [(String, String)] = []
    ) -> String {
        let names = names(of: parameters.sampler ?? sampler)
        var pairs = [("Steps", "\(parameters.steps)"), ("Sampler", names.sampler)]
        if let schedule = names.schedule { pairs.append(("Schedule type", schedule)) }
        pairs += [
            ("CFG scale", shortest(parameters.guidanceScale)), ("Seed", "\(parameters.seed)"),
            ("Size", "\(width)x\(height)"),
        ]
        if parameters.clipSkip > 0 { pairs.append(("Clip skip", "\(parameters.clipSkip + 1)")) }
        if parameters.emphasis { pairs.append(("Emphasis", originalEmphasis)) }
        if usesPicture { pairs.append(("Denoising strength", "\(parameters.strength)")) }
        var lines = [parameters.prompt]
        if !parameters.negativePrompt.isEmpty { lines.append("\(negative) \(parameters.negativePrompt)") }
        lines.append((pairs + extra).map { "\($0.0): \(quoted($0.1))" }.joined(separator: ", "))
        return lines.joined(separator: "\n")
    }

    /// Reads such a text. Keys that say nothing about the picture here (the model's hash, the version) are skipped.
    ///
    /// - Parameters:
    ///   - name: of the file, for messages.
    ///   - sampler: to use instead of the text's, which then may be one that is not implemented.
    /// Throws `SimpleFailure(.badData)` for a sampler that is not implemented or a value that is not a number.
    public static func parse(
        _ text: String, name: String, sampler: SamplerName? = nil
    ) throws -> GenerationParameters {
        var result = GenerationParameters()
        var (lines, values) = parts(text)
        let split = lines.firstIndex { $0.hasPrefix(negative) } ?? lines.count
        result.prompt = lines[..<split].joined(separator: "\n")
        if split < lines.count {
            lines[split] = String(lines[split].dropFirst(negative.count).drop(while: \.isWhitespace))
            result.negativePrompt = lines[split...].joined(separator: "\n")
        }
        if let sampler {
            values["Sampler"] = nil
            result.sampler = sampler
        }
        try read(values, into: &result, name: name)
        return result
    }

    /// The `key: value` pairs of such a text, those included that `parse` skips.
    public static func values(of text: String) -> [String: String] { parts(text).values }

    /// The lines of both prompts, and the pairs of the last line if it has at least three.
    private static func parts(_ text: String) -> (lines: [String], values: [String: String]) {
        var lines = text.split(omittingEmptySubsequences: false) { ["\n", "\r\n", "\r"].contains($0) }.map(String.init)
        while lines.last?.allSatisfy(\.isWhitespace) == true { lines.removeLast() }
        let pairs = lines.last.map(Self.pairs) ?? []
        guard pairs.count >= 3 else { return (lines, [:]) }
        return (lines.dropLast(), Dictionary(pairs, uniquingKeysWith: { first, _ in first }))
    }

    private static func read(
        _ values: [String: String], into result: inout GenerationParameters, name: String
    ) throws {
        func number<T: LosslessStringConvertible>(_ key: String, _ isValid: (T) -> Bool) throws -> T? {
            guard let text = values[key] else { return nil }
            if let value = T(text), isValid(value) { return value }
            throw SimpleFailure(.badData, "\(name): parameters: \(key) is '\(text.prefix(40))', expected a number")
        }
        result.steps = try number("Steps") { $0 > 0 } ?? result.steps
        result.guidanceScale = try number("CFG scale", \.isFinite) ?? result.guidanceScale
        result.seed = try number("Seed") { _ in true } ?? result.seed
        result.strength = try number("Denoising strength") { (0...1).contains($0) } ?? result.strength
        result.clipSkip = max(0, (try number("Clip skip") { $0 >= 0 } ?? 1) - 1)
        result.emphasis = values["Emphasis"] == originalEmphasis
        if let size = values["Size"] {
            let sides = size.split(separator: "x").map { Int($0) }
            guard sides.count == 2, let width = sides[0], let height = sides[1] else {
                throw SimpleFailure(.badData, "\(name): parameters: Size is '\(size)', expected WIDTHxHEIGHT")
            }
            (result.width, result.height) = (width, height)
        }
        if let sampler = values["Sampler"] {
            result.sampler = try Self.sampler(named: sampler, schedule: values["Schedule type"], file: name)
        }
    }

    private static func names(of sampler: SamplerName) -> (sampler: String, schedule: String?) {
        switch sampler {
        case .pndm: ("PLMS", nil)
        case .ddim: ("DDIM", nil)
        case .euler: ("Euler", nil)
        case .eulerAncestral: ("Euler a", nil)
        case .dpmpp2M: ("DPM++ 2M", nil)
        case .dpmpp2MKarras: ("DPM++ 2M", "Karras")
        case .dpmpp2MSDE: ("DPM++ 2M SDE", nil)
        case .dpmpp2MSDEKarras: ("DPM++ 2M SDE", "Karras")
        case .dpmppSDE: ("DPM++ SDE", nil)
        case .uniPC: ("UniPC", nil)
        case .heun: ("Heun", nil)
        case .lms: ("LMS", nil)
        case .lcm: ("LCM", nil)
        case .ddpm: ("DDPM", nil)
        }
    }

    /// Older files have the schedule in the sampler's name, newer ones beside it.
    private static func sampler(named name: String, schedule: String?, file: String) throws -> SamplerName {
        let plain = schedule.map { ["Automatic", "Uniform", "Normal"].contains($0) } ?? true
        let full = plain ? name : "\(name) \(schedule ?? "")"
        for candidate in SamplerName.allCases {
            let known = names(of: candidate)
            if full == ([known.sampler] + (known.schedule.map { [$0] } ?? [])).joined(separator: " ") {
                return candidate
            }
        }
        let known = SamplerName.allCases.map(\.rawValue).joined(separator: ", ")
        throw SimpleFailure(
            .badData, "\(file): parameters: sampler '\(full)' is not implemented; choose another: \(known)")
    }

    /// `key: value, key: "value, with commas"` as pairs; nothing that is not of this form.
    private static func pairs(_ line: String) -> [(String, String)] {
        var result: [(String, String)] = []
        var rest = line[...]
        while let colon = rest.firstIndex(of: ":") {
            let key = rest[..<colon].trimmingSpaces
            rest = rest[rest.index(after: colon)...].drop(while: \.isWhitespace)
            let value = takeValue(&rest)
            if !key.isEmpty { result.append((String(key), value)) }
        }
        return result
    }

    private static func takeValue(_ rest: inout Substring) -> String {
        guard rest.first == "\"" else {
            let value = rest.prefix { $0 != "," }
            rest = rest[value.endIndex...].dropFirst()
            return String(value.trimmingSpaces)
        }
        var value = ""
        var escaped = false
        rest = rest.dropFirst()
        while let character = rest.popFirst() {
            if escaped {
                value.append(character == "n" ? "\n" : character)
                escaped = false
            } else if character == "\\" {
                escaped = true
            } else if character == "\"" {
                break
            } else {
                value.append(character)
            }
        }
        rest = rest.drop { $0 == "," || $0.isWhitespace }
        return value
    }

    private static func quoted(_ value: String) -> String {
        guard value.contains(where: { ",:\n\"".contains($0) }) else { return value }
        let escaped = value.map { character -> String in
            switch character {
            case "\n": "\\n"
            case "\"", "\\": "\\\(character)"
            default: String(character)
            }
        }
        return "\"\(escaped.joined())\""
    }

    private static func shortest(_ value: Float) -> String {
        value == value.rounded() && abs(value) < 1e6 ? "\(Int(value))" : "\(value)"
    }
}

extension Substring {
    fileprivate var trimmingSpaces: Substring {
        let start = drop(while: \.isWhitespace)
        guard let end = start.lastIndex(where: { !$0.isWhitespace }) else { return start.prefix(0) }
        return start[...end]
    }
}
