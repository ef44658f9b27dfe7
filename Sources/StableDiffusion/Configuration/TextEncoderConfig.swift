import Files
import Ops

/// What `text_encoder/config.json` says (`CLIPTextModel`). Absent keys: transformers' defaults for `CLIPTextConfig`.
public struct TextEncoderConfig: Sendable, Equatable {
    public let layout: TextEncoderLayout
    public let heads: Int
    /// `quick_gelu`: x·σ(1.702x) if true; `gelu`, the exact one, if false.
    public let usesQuickGelu: Bool
    public let layerNormEps: Float
    public let bosTokenID: Int
    public let eosTokenID: Int
    public let padTokenID: Int

    public init(_ config: ConfigFile) throws {
        layout = try TextEncoderLayout(config)
        heads = try config.size("num_attention_heads", default: 8)
        guard layout.width % heads == 0 else {
            throw config.bad("num_attention_heads", expected: "a divisor of \(layout.width)", found: "\(heads)")
        }
        let activation = try config.string("hidden_act", default: "quick_gelu")
        guard ["quick_gelu", "gelu"].contains(activation) else {
            throw config.bad("hidden_act", expected: "quick_gelu or gelu", found: activation)
        }
        usesQuickGelu = activation == "quick_gelu"
        layerNormEps = Float(try config.double("layer_norm_eps", default: 1e-5))
        // Files written before transformers 4.30 say 0 and 2 here, which are not CLIP's ids; its vocabulary always
        // ends with start and end.
        let stated = (try config.int("bos_token_id", default: 49406), try config.int("eos_token_id", default: 49407))
        let isOld = stated.0 == 0 && stated.1 == 2
        bosTokenID = isOld ? layout.vocabularySize - 2 : stated.0
        eosTokenID = isOld ? layout.vocabularySize - 1 : stated.1
        // 1 is transformers' unused default (SD 1.5's own file has it too): the tokenizer pads with the end token then.
        let pad = try config.int("pad_token_id", default: 1)
        padTokenID = pad == 1 ? eosTokenID : pad
        let ids = [("bos_token_id", bosTokenID), ("eos_token_id", eosTokenID), ("pad_token_id", padTokenID)]
        for (key, id) in ids {
            guard (0..<layout.vocabularySize).contains(id) else {
                throw config.bad(key, expected: "0..<\(layout.vocabularySize)", found: "\(id)")
            }
        }
    }

    /// The ids of the empty prompt, `[start, end, pad…]`, known without a tokenizer.
    public var emptyPromptIDs: [Int] {
        [bosTokenID, eosTokenID] + Array(repeating: padTokenID, count: max(0, layout.positions - 2))
    }
}
