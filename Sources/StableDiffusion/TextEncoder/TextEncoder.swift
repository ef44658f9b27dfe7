import Checkpoints
import Files
import Ops
import Tensors

/// The CLIP text encoder, `CLIPTextModel`:
///
///     h = token_embedding[ids] + position_embedding;   h = layer(h) for each layer;   final_layer_norm(h)
///
/// Token ids `[B][T]`, hidden states `[B, T, C]`. The mask is causal only: padding is attended to.
public final class TextEncoder: Sendable {
    /// The numbers it was made from.
    public let config: TextEncoderConfig
    /// What it runs on.
    public let engine: Engine
    private let tokenEmbedding: Weight
    private let positionEmbedding: [Float]
    private let layers: [TextEncoderLayer]
    private let finalLayerNorm: LayerNorm
    /// Rows after the vocabulary's, `[n · C]`.
    private let addedRows: [Float]

    /// Packs all layers' weights; the token embedding stays in its file.
    /// - Parameter addedRows: token embeddings for ids from the vocabulary's size on, `[n · C]`.
    /// - Throws: `FileFailure` for missing or misshapen tensors.
    public convenience init(
        config: TextEncoderConfig, weights: WeightStore, addedRows: [Float] = [], engine: Engine
    ) throws {
        let build = LayerBuilder(weights: weights, engine: engine.inFloat32)
        self.init(build, config: config, addedRows: addedRows)
        try build.finish()
        weights.releasePages()
    }

    init(_ root: LayerBuilder, config: TextEncoderConfig, addedRows: [Float] = []) {
        let build = root.at("text_model")
        tokenEmbedding = build.tensor("embeddings.token_embedding.weight", [config.vocabularySize, config.width])
        positionEmbedding = build.tensor("embeddings.position_embedding.weight", [config.positions, config.width])
            .floats()
        layers = (0..<config.layers).map { TextEncoderLayer(build.at("encoder.layers.\($0)"), config: config) }
        finalLayerNorm = build.layerNorm("final_layer_norm", config.width, epsilon: config.layerNormEps)
        self.config = config
        self.addedRows = addedRows
        engine = root.engine
    }

    /// The hidden states that condition the U-Net.
    /// - Parameters:
    ///   - ids: one list per prompt, all of one length, at most `positions`.
    ///   - clipSkip: layers left out at the end, counted as diffusers does: 1 is the layer before the last, still
    ///     through the final norm (web interfaces call that "Clip skip: 2").
    /// - Throws: `SimpleFailure(.usage)` for ids outside the vocabulary, too many of them, or too many skipped layers.
    public func encode(_ ids: [[Int]], clipSkip: Int = 0) throws -> Tensor {
        guard (0..<layers.count).contains(clipSkip) else {
            throw SimpleFailure(
                .usage, "clip skip \(clipSkip): the text encoder has \(layers.count) layers, at least one must run")
        }
        var hidden = try embed(ids)
        for layer in layers.dropLast(clipSkip) { hidden = layer.forward(hidden) }
        return finalLayerNorm.forward(hidden).y
    }

    /// The hidden states of the empty prompt, `[1, T, C]`, for which no tokenizer is needed.
    public func encodeEmptyPrompt(clipSkip: Int = 0) throws -> Tensor {
        try encode([config.emptyPromptIDs], clipSkip: clipSkip)
    }

    private func embed(_ ids: [[Int]]) throws -> Tensor {
        let (length, width) = (ids.first?.count ?? 0, config.width)
        precondition(ids.allSatisfy { $0.count == length } && length > 0, "prompts of different or no length")
        guard length <= config.positions else {
            throw SimpleFailure(.usage, "\(length) tokens; the text encoder takes \(config.positions)")
        }
        let hidden = Tensor([ids.count, length, width])
        for (sample, row) in ids.enumerated() {
            for (position, id) in row.enumerated() {
                let target = hidden.pointer + (sample * length + position) * width
                try copyEmbedding(of: id, into: target)
                for i in 0..<width { target[i] += positionEmbedding[position * width + i] }
            }
        }
        return hidden
    }

    private func copyEmbedding(of id: Int, into target: UnsafeMutablePointer<Float>) throws {
        let (size, width) = (config.vocabularySize, config.width)
        let added = addedRows.count / width
        guard (0..<size + added).contains(id) else {
            throw SimpleFailure(
                .usage, "token id \(id) is outside 0..<\(size + added), the text encoder's table of embeddings")
        }
        if id < size { return tokenEmbedding.row(id).copyFloats(into: target) }
        for i in 0..<width { target[i] = addedRows[(id - size) * width + i] }
    }
}

extension TextEncoderConfig {
    /// Every tensor that the text encoder's layers ask for, with the `text_model.` prefix: `WeightStore` reads files with
    /// and without it.
    public var manifest: Manifest { Manifest(of: { _ = TextEncoder($0, config: self) }) }
}

extension Weight {
    /// Row `index` of a matrix, in place.
    fileprivate func row(_ index: Int) -> Weight {
        let size = dtype.byteCount(shape[1])
        return Weight(
            name: name, shape: [shape[1]], dtype: dtype,
            bytes: UnsafeRawBufferPointer(rebasing: bytes[index * size..<(index + 1) * size]), owner: owner)
    }
}

/// One pre-norm transformer layer, `CLIPEncoderLayer`:
///
///     x += self_attn(layer_norm1(x));   x += fc2(gelu(fc1(layer_norm2(x))))
struct TextEncoderLayer: Sendable {
    let layerNorm1: LayerNorm
    let queryProjection, keyProjection, valueProjection, outProjection: Linear
    let layerNorm2: LayerNorm
    let fc1, fc2: Linear
    let config: TextEncoderConfig
    let engine: Engine

    init(_ build: LayerBuilder, config: TextEncoderConfig) {
        let (width, inner) = (config.width, config.innerWidth)
        layerNorm1 = build.layerNorm("layer_norm1", width, epsilon: config.layerNormEps)
        queryProjection = build.linear("self_attn.q_proj", width, width)
        keyProjection = build.linear("self_attn.k_proj", width, width)
        valueProjection = build.linear("self_attn.v_proj", width, width)
        outProjection = build.linear("self_attn.out_proj", width, width)
        layerNorm2 = build.layerNorm("layer_norm2", width, epsilon: config.layerNormEps)
        fc1 = build.linear("mlp.fc1", width, inner)
        fc2 = build.linear("mlp.fc2", inner, width)
        self.config = config
        engine = build.engine
    }

    func forward(_ x: Tensor) -> Tensor {
        let normed = layerNorm1.forward(x).y
        let mixed = Attention.forward(
            query: queryProjection.forward(normed), key: keyProjection.forward(normed),
            value: valueProjection.forward(normed), heads: config.heads, causal: true, engine: engine
        ).out
        let attended = outProjection.forward(mixed, adding: x)
        let hidden = fc1.forward(layerNorm2.forward(attended).y)
        let activated = (config.usesQuickGelu ? Activation.geluQuick : .geluErf).forward(hidden, engine: engine)
        return fc2.forward(activated, adding: attended)
    }
}
