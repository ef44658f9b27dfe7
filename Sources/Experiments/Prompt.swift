import Files
import Foundation

/// One prompt of a study, with the factors of its picture if they are known (such as colour or shape).
public struct Prompt: Sendable, Equatable {
    /// What the text encoder reads.
    public let text: String
    /// Name and value of each factor; empty where they are unknown.
    public let factors: [String: String]

    /// A prompt of which no factors need be known.
    public init(text: String, factors: [String: String] = [:]) {
        self.text = text
        self.factors = factors
    }

    /// Names the prompt's results: by its text, so that adding or reordering prompts leaves other results valid.
    public var id: String { "prompt-" + Fingerprint.of(Array(text.utf8)).prefix(12) }

    /// The seed of one of its pictures: from the study's seed, the text and the picture's number alone.
    public func seed(study: Int, image: Int) -> Int {
        let digest = Fingerprint.of([.integer(study), .string(text), .integer(image)] as JSON)
        return Int(digest.prefix(8), radix: 16) ?? 0
    }

    /// Reads prompts, one a line, or JSON lines with a `text` and optional `factors`: in files named `.jsonl`, and from pipes
    /// where the first line begins with a brace. Empty lines and repeated prompts are left out: a repeated one would draw
    /// the same pictures.
    ///
    /// - Throws: `FileFailure` without the file or for text that is not UTF-8, `SimpleFailure(.badData)` naming the line; also
    ///   for members that would change a picture (`seed`, `steps`, …), which are settings here.
    public static func read(_ path: String) throws -> [Prompt] {
        try parse(TextLines.read(path), name: path, isPipe: !FileSystem.isFile(path))
    }

    /// - Parameter name: of the file, which tells its kind.
    package static func parse(_ lines: [String], name: String, isPipe: Bool = false) throws -> [Prompt] {
        var seen: Set<String> = []
        var prompts: [Prompt] = []
        // Files joined with `cat` have the marks of each where it begins.
        let trimmed = lines.map { $0.trimmingCharacters(in: .whitespaces.union(CharacterSet(charactersIn: "\u{FEFF}"))) }
        let isJSON = name.hasSuffix(".jsonl") || isPipe && trimmed.first { !$0.isEmpty }?.hasPrefix("{") == true
        for (number, line) in trimmed.enumerated() where !line.isEmpty {
            let prompt = isJSON ? try parse(line, "\(name), line \(number + 1)") : Prompt(text: line)
            if seen.insert(prompt.text).inserted { prompts.append(prompt) }
        }
        guard !prompts.isEmpty else { throw SimpleFailure(.badData, "\(name): no prompts in it") }
        return prompts
    }

    /// At most `limit` of the prompts at equal distances; all if that is 0.
    public static func evenly(_ prompts: [Prompt], limit: Int) -> [Prompt] {
        guard limit > 0, limit < prompts.count else { return prompts }
        return (0..<limit).map { prompts[$0 * prompts.count / limit] }
    }

    private static func parse(_ line: String, _ place: String) throws -> Prompt {
        let json: JSON
        do {
            json = try JSON.parse(line)
        } catch {
            throw SimpleFailure(.badData, "\(place): \(error)")
        }
        guard let text = json["text"]?.string else {
            throw SimpleFailure(.badData, "\(place): expected an object with a text, found \(json.typeName)")
        }
        for name in settings where json[name]?.saysNothing == false {
            throw SimpleFailure(
                .badData, "\(place): \(name) is not read from prompts; all have the same, given beside the file")
        }
        return Prompt(text: text, factors: try factors(json["factors"] ?? .null, place))
    }

    /// What other programs keep beside a prompt and draw its picture by.
    private static let settings = [
        "negative_prompt", "seed", "steps", "num_inference_steps", "cfg_scale", "guidance_scale", "sampler", "scheduler",
        "width", "height", "clip_skip",
    ]

    private static func factors(_ json: JSON, _ place: String) throws -> [String: String] {
        if json.isNull { return [:] }
        guard let members = json.object else {
            throw SimpleFailure(.badData, "\(place): factors: expected an object, found \(json.typeName)")
        }
        var factors: [String: String] = [:]
        for (name, value) in members where !value.isNull {
            guard value.object == nil, value.array == nil else {
                throw SimpleFailure(
                    .badData, "\(place): factor \(name): expected a text or a number, found \(value.typeName)")
            }
            factors[name] = value.string ?? value.serialized()
        }
        return factors
    }
}
