import Checkpoints
import Files
import Tensors

/// A textual inversion: vectors for a word of its own, which stand for it in the text encoder's table.
///
///     AUTOMATIC1111  .pt           {"string_to_param": {"*": [n, width]}, "name": …, …}
///                    .safetensors  {"emb_params": [n, width]}
///     diffusers      learned_embeds.safetensors or .bin   {"<token>": [width] or [n, width]}
public struct TextualInversion: Sendable {
    /// The file.
    public let path: String
    /// The word that prompts say.
    public let token: String
    /// How many places it takes in a prompt.
    public let vectors: Int
    /// `[vectors · width]`
    let values: [Float]
    let width: Int

    /// - Parameter token: nil: the file's own, or the file's name where it has none.
    /// - Throws: `FileFailure` for other files, for several embeddings in one, and for NaN or infinity.
    public init(path: String, token: String? = nil) throws {
        try self.init(WeightFile(path: path), path: path, token: token)
    }

    package init(_ file: WeightFile, path: String, token: String?) throws {
        let stem = FileSystem.stem(path)
        let (weight, own) = try Self.find(file, path: path)
        let name = own == "*" ? stem : own ?? stem
        if let defect = weight.defect {
            throw FileFailure.unsupported(
                file: path, found: "tensor \(weight.name) \(defect)", advice: "save it as float16 or float32")
        }
        try weight.checkFinite(file: path)
        let shape = weight.shape
        guard (1...2).contains(shape.count), let width = shape.last, width > 0, weight.count > 0,
            weight.count / width <= 1024
        else {
            throw FileFailure.malformed(
                file: path, reason: "tensor \(weight.name) has shape \(shape), expected [vectors, width]")
        }
        self.path = path
        self.token = token ?? name
        vectors = weight.count / width
        values = weight.floats()
        self.width = width
    }

    private static func find(_ file: WeightFile, path: String) throws -> (weight: Weight, token: String?) {
        let prefix = "string_to_param."
        let parameters = file.weights.filter { $0.name.hasPrefix(prefix) }
        if parameters.count == 1 { return (parameters[0], file.metadata["name"]) }
        let names = file.weights.map(\.name).sorted()
        guard !names.contains("clip_g"), !names.contains("clip_l") else {
            throw FileFailure.unsupported(
                file: path, found: "an embedding for Stable Diffusion XL", advice: "one made for 1.x is needed")
        }
        guard parameters.isEmpty, file.weights.count == 1 else {
            let shown = names.prefix(3).joined(separator: ", ")
            throw FileFailure.unsupported(
                file: path, found: "\(names.count) tensors (\(shown)), where an embedding has one",
                advice: "give a textual inversion of AUTOMATIC1111 or diffusers")
        }
        let weight = file.weights[0]
        return (weight, weight.name == "emb_params" ? nil : weight.name)
    }

    /// What tells embeddings apart: the word and the numbers.
    public var fingerprint: String {
        Fingerprint.of(Array(token.utf8) + [0] + values.withUnsafeBytes { Array($0) })
    }
}
