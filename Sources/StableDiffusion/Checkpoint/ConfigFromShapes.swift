/// Configurations read off a checkpoint that has no configuration: tensor names tell how many levels and layers there are,
/// their shapes how wide they are. What leaves no trace in shapes (heads, norm groups) is
/// Stable Diffusion 1.5's.
extension UNetConfig {
    /// - Parameter shapes: LDM names without `model.diffusion_model.`, and shapes.
    /// - Returns: nil if they are not those of a U-Net of this kind.
    init?(ldmShapes shapes: [String: [Int]]) {
        func shape(_ name: String, rank: Int) -> [Int]? { shapes[name].flatMap { $0.count == rank ? $0 : nil } }
        let inputs = (0...).prefix { shapes["input_blocks.\($0).0.op.weight"] != nil || Self.hasLayer(shapes, $0) }
            .count
        let downs = (1..<max(inputs, 1)).filter { shapes["input_blocks.\($0).0.op.weight"] != nil }
        let perLevel = downs.first ?? inputs
        guard let first = shape("input_blocks.0.0.weight", rank: 4), let last = shape("out.2.weight", rank: 4),
            perLevel >= 2, downs.enumerated().allSatisfy({ $1 == ($0 + 1) * perLevel }),
            inputs == perLevel * (downs.count + 1)
        else { return nil }
        var widths: [Int] = []
        for level in 0...downs.count {
            guard let out = shape("input_blocks.\(1 + level * perLevel).0.out_layers.3.weight", rank: 4) else {
                return nil
            }
            widths.append(out[0])
        }
        let (levels, middle) = (0...downs.count, "middle_block.1.")
        guard let key = shape(middle + "transformer_blocks.0.attn2.to_k.weight", rank: 2),
            areSizes(widths + [key[1], first[1], last[0]]), widths.count <= 16
        else { return nil }
        self.init(
            inChannels: first[1], outChannels: last[0], widths: widths, layersPerBlock: perLevel - 1,
            contextWidth: key[1],
            downAttention: levels.map { shapes["input_blocks.\(1 + $0 * perLevel).1.norm.weight"] != nil },
            upAttention: levels.map { shapes["output_blocks.\($0 * perLevel).1.norm.weight"] != nil },
            linearProjection: shapes[middle + "proj_in.weight"]?.count == 2)
    }

    private static func hasLayer(_ shapes: [String: [Int]], _ block: Int) -> Bool {
        shapes["input_blocks.\(block).0.weight"] != nil || shapes["input_blocks.\(block).0.in_layers.0.weight"] != nil
    }
}

extension VAEConfig {
    /// - Parameter shapes: LDM names (`encoder.down.0.block.0…`) without a prefix, and shapes.
    init?(ldmShapes shapes: [String: [Int]]) {
        self.init(
            shapes, level: { "encoder.down.\($0).block" }, decoderOut: "decoder.conv_out.weight",
            attention: "decoder.mid.attn_1.norm.weight")
    }

    /// - Parameter shapes: diffusers names and shapes.
    init?(shapes: [String: [Int]]) {
        self.init(
            shapes, level: { "encoder.down_blocks.\($0).resnets" }, decoderOut: "decoder.conv_out.weight",
            attention: "decoder.mid_block.attentions.0.group_norm.weight")
    }

    private init?(_ shapes: [String: [Int]], level: (Int) -> String, decoderOut: String, attention: String) {
        let levels = (0...).prefix { shapes["\(level($0)).0.conv1.weight"] != nil }.count
        let layers = (0...).prefix { shapes["\(level(0)).\($0).conv1.weight"] != nil }.count
        guard levels > 0, layers > 0, let out = shapes[decoderOut], out.count == 4,
            let input = shapes["decoder.conv_in.weight"], input.count == 4
        else { return nil }
        let widths = (0..<levels).compactMap { shapes["\(level($0)).0.conv1.weight"]?.first }
        guard areSizes(widths + [out[0], input[1]]), widths.count <= 16 else { return nil }
        self.init(
            imageChannels: out[0], latentChannels: input[1], widths: widths, layersPerBlock: layers,
            midAttention: shapes[attention] != nil, quantConv: shapes["quant_conv.weight"] != nil,
            postQuantConv: shapes["post_quant_conv.weight"] != nil)
    }
}

extension TextEncoderConfig {
    /// - Parameter shapes: names with the `text_model.` prefix, and shapes.
    init?(shapes: [String: [Int]]) {
        func layer(_ index: Int) -> String { "text_model.encoder.layers.\(index)." }
        guard let tokens = shapes["text_model.embeddings.token_embedding.weight"], tokens.count == 2,
            let positions = shapes["text_model.embeddings.position_embedding.weight"], positions.count == 2,
            let inner = shapes[layer(0) + "mlp.fc1.weight"], inner.count == 2,
            areSizes([tokens[0], positions[0], tokens[1], inner[0]])
        else { return nil }
        self.init(
            vocabularySize: tokens[0], positions: positions[0], width: tokens[1], innerWidth: inner[0],
            layers: (0...).prefix { shapes[layer($0) + "mlp.fc1.weight"] != nil }.count)
    }
}

/// Shapes of empty tensors can claim any size; what is computed from sizes must not overflow.
private func areSizes(_ sizes: [Int]) -> Bool { sizes.allSatisfy { (1...1 << 20).contains($0) } }
