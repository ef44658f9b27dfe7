import ArgumentParser
import Files
import StableDiffusion

struct Tokenize: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show how a model's tokenizer cuts a prompt.",
        discussion: "Prints ids and tokens as the text encoder gets them, without padding, and what is cut off.")

    @OptionGroup var model: ModelOptions

    @Flag(help: "Print one JSON object a prompt, with all ids including padding.")
    var json = false

    @Argument(help: "Prompts.")
    var text: [String]

    func run() throws {
        let folder = try model.folder()
        let config = try TextEncoderConfig(folder.config(.textEncoder))
        guard let tokenizer = try folder.loadTokenizer(for: config) else {
            throw SimpleFailure(
                .missingInput, "\(folder.path)/tokenizer: tokenizer.json, or vocab.json and merges.txt, are missing")
        }
        for prompt in text {
            let encoding = tokenizer.encode(prompt)
            print(json ? object(prompt, encoding).serialized() : lines(encoding, tokenizer))
        }
    }

    private func object(_ prompt: String, _ encoding: Tokenizer.Encoding) -> JSON {
        [
            "text": .string(prompt), "ids": .array(encoding.ids.map { .integer(Int($0)) }),
            "full_length": .integer(encoding.fullLength), "dropped": encoding.dropped.map(JSON.string) ?? .null,
        ]
    }

    private func lines(_ encoding: Tokenizer.Encoding, _ tokenizer: Tokenizer) -> String {
        let shown = encoding.ids.prefix(encoding.fullLength)
        let rows = shown.map { id -> String in
            let digits = String(id)
            return String(repeating: " ", count: max(0, 6 - digits.count)) + digits + "  " + tokenizer.text(of: id)
        }
        let cut = encoding.dropped.map { "cut off after \(tokenizer.contextLength) tokens: \($0)" }
        return (rows + ["\(encoding.fullLength) tokens"] + (cut.map { [$0] } ?? [])).joined(separator: "\n")
    }
}
