import Files

/// A CLIP text encoder in numbers: what `text_encoder/config.json` says (`CLIPTextModel` in transformers). Absent keys
/// mean transformers' defaults for `CLIPTextConfig`.
public struct TextEncoderConfig: Sendable, Equatable {
    /// Number of token ids.
    public let vocabularySize: Int
    /// Tokens of a prompt, with start and end: 77.
    public let positions: Int
    /// Width of the hidden states.
    public let width: Int
    /// Width of each layer's feed-forward.
    public let innerWidth: Int
    /// Number of transformer layers.
    public let layers: Int
    /// Attention heads of each layer.
    public let heads: Int
    /// `quick_gelu`: x·σ(1.702x) if true; `gelu`, the exact one, if false.
    public let usesQuickGelu: Bool
    /// ε of every layer norm.
    public let layerNormEps: Float
    /// The id that begins a prompt.
    public let bosTokenID: Int
    /// The id that ends a prompt.
    public let eosTokenID: Int
    /// The id that fills a prompt up to `positions`.
    public let padTokenID: Int

    /// Stable Diffusion 1.5's, which is CLIP ViT-L/14's.
    public static let sd15 = TextEncoderConfig(
        vocabularySize: 49408, positions: 77, width: 768, innerWidth: 3072, layers: 12)

    /// Takes the numbers as they are: what does not fit together is found by `init(_:)` only. Heads follow CLIP's rule,
    /// one per 64 channels; the vocabulary ends with start and end, and the end token pads.
    package init(vocabularySize: Int, positions: Int, width: Int, innerWidth: Int, layers: Int) {
        self.vocabularySize = vocabularySize
        self.positions = positions
        self.width = width
        self.innerWidth = innerWidth
        self.layers = layers
        heads = max(1, width / 64)
        usesQuickGelu = true
        layerNormEps = 1e-5
        bosTokenID = vocabularySize - 2
        eosTokenID = vocabularySize - 1
        padTokenID = vocabularySize - 1
    }

    /// Reads and checks a `config.json`.
    /// - Throws: `FileFailure.badKey` for a value that is out of range, not supported, or does not fit the others.
    public init(_ config: ConfigFile) throws(FileFailure) {
        try ConfigurationKey.check(config, ConfigurationKey.textEncoder)
        try self.init(sizesOf: config)
        guard width % heads == 0 else {
            throw config.bad("num_attention_heads", expected: "a divisor of \(width)", found: "\(heads)")
        }
        let ids = [("bos_token_id", bosTokenID), ("eos_token_id", eosTokenID), ("pad_token_id", padTokenID)]
        for (key, id) in ids {
            guard (0..<vocabularySize).contains(id) else {
                throw config.bad(key, expected: "0..<\(vocabularySize)", found: "\(id)")
            }
        }
    }

    /// Reads a `config.json` as far as the network's tensors depend on it: enough for a manifest, not for running it.
    /// - Throws: `FileFailure.badKey` for a value that is out of range or not supported.
    package init(sizesOf config: ConfigFile) throws(FileFailure) {
        vocabularySize = try config.size("vocab_size", default: 49408)
        positions = try config.size("max_position_embeddings", default: 77)
        width = try config.size("hidden_size", default: 512)
        innerWidth = try config.size("intermediate_size", default: 2048)
        layers = try config.layers("num_hidden_layers", default: 12, atMost: 1024)
        heads = try config.size("num_attention_heads", default: 8)
        let activation = try config.string("hidden_act", default: "quick_gelu")
        guard ["quick_gelu", "gelu"].contains(activation) else {
            throw config.bad("hidden_act", expected: "quick_gelu or gelu", found: activation)
        }
        usesQuickGelu = activation == "quick_gelu"
        layerNormEps = Float(try config.double("layer_norm_eps", default: 1e-5))
        // Files written before transformers 4.30 say 0 and 2 here, which are not CLIP's ids; its vocabulary ends with
        // start and end, and what was added follows.
        let stated = (try config.int("bos_token_id", default: 49406), try config.int("eos_token_id", default: 49407))
        let isOld = stated.0 == 0 && stated.1 == 2
        let end = min(vocabularySize, Vocabulary.clipCount)
        bosTokenID = isOld ? end - 2 : stated.0
        eosTokenID = isOld ? end - 1 : stated.1
        // 1 is transformers' unused default (SD 1.5's own file has it too): the tokenizer pads with the end token then.
        let pad = try config.int("pad_token_id", default: 1)
        padTokenID = pad == 1 ? eosTokenID : pad
    }

    /// The ids of the empty prompt, `[start, end, pad…]`, known without a tokenizer.
    public var emptyPromptIDs: [Int] {
        [bosTokenID, eosTokenID] + Array(repeating: padTokenID, count: max(0, positions - 2))
    }
}
