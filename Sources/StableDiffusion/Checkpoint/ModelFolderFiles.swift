import Files

/// The JSON files of a diffusers folder, as Stable Diffusion 1.5 has them.
package enum ModelFolderFiles {
    /// Path in the folder → contents.
    package static let sd15: [(path: String, json: JSON)] = [
        ("model_index.json", modelIndex(tokenizer: false)),
        ("scheduler/scheduler_config.json", scheduler(predictionType: "epsilon")),
        ("unet/config.json", unet(.sd15)),
        ("vae/config.json", vae(.sd15)),
        ("text_encoder/config.json", textEncoder(.sd15)),
    ]

    /// `model_index.json`.
    /// - Parameter tokenizer: whether the folder has one.
    package static func modelIndex(tokenizer: Bool) -> JSON {
        [
            "_class_name": "StableDiffusionPipeline",
            "scheduler": ["diffusers", "PNDMScheduler"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": tokenizer ? ["transformers", "CLIPTokenizer"] : [.null, .null],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
            "safety_checker": [.null, .null],
            "feature_extractor": [.null, .null],
            "requires_safety_checker": false,
        ]
    }

    /// `scheduler/scheduler_config.json`. Without `timestep_spacing`, as published: other samplers made from it then
    /// take their own.
    ///
    /// With zero terminal SNR, DDIM from the last time step on: PNDM does not know that schedule (Lin et al. 2023).
    package static func scheduler(predictionType: String, zeroTerminalSNR: Bool = false) -> JSON {
        let shared: [(String, JSON)] = [
            ("beta_start", 0.00085), ("beta_end", 0.012), ("beta_schedule", "scaled_linear"),
            ("num_train_timesteps", 1000), ("set_alpha_to_one", false), ("steps_offset", 1), ("clip_sample", false),
            ("trained_betas", .null), ("prediction_type", .string(predictionType)),
        ]
        let own: [(String, JSON)] =
            zeroTerminalSNR
            ? [("_class_name", "DDIMScheduler"), ("rescale_betas_zero_snr", true), ("timestep_spacing", "trailing")]
            : [("_class_name", "PNDMScheduler"), ("skip_prk_steps", true)]
        return JSON(own + shared)
    }

    /// `unet/config.json`.
    package static func unet(_ config: UNetConfig) -> JSON {
        let isUniform = config.heads.allSatisfy { $0 == config.heads[0] }
        return [
            "_class_name": "UNet2DConditionModel", "act_fn": "silu",
            // diffusers keeps the number of heads under this name.
            "attention_head_dim": isUniform ? .integer(config.heads[0]) : integers(config.heads),
            "block_out_channels": integers(config.widths), "center_input_sample": false,
            "cross_attention_dim": .integer(config.contextWidth),
            "down_block_types": types(config.downAttention, "CrossAttnDownBlock2D", "DownBlock2D"),
            "up_block_types": types(config.upAttention, "CrossAttnUpBlock2D", "UpBlock2D"),
            "downsample_padding": 1, "flip_sin_to_cos": .bool(config.flipSinToCos),
            "freq_shift": number(config.freqShift), "in_channels": .integer(config.inChannels),
            "out_channels": .integer(config.outChannels), "layers_per_block": .integer(config.layersPerBlock),
            "mid_block_scale_factor": 1,
            "mid_block_type": config.hasMiddle ? "UNetMidBlock2DCrossAttn" : .null, "norm_eps": number(config.normEps),
            "norm_num_groups": .integer(config.normNumGroups), "sample_size": .integer(config.sampleSize),
            "use_linear_projection": .bool(config.linearProjection),
        ]
    }

    /// `vae/config.json`, of a VAE that was trained on pictures of 512×512.
    package static func vae(_ config: VAEConfig) -> JSON {
        let levels = config.widths.count
        return [
            "_class_name": "AutoencoderKL", "act_fn": "silu", "block_out_channels": integers(config.widths),
            "down_block_types": .array(Array(repeating: "DownEncoderBlock2D", count: levels)),
            "up_block_types": .array(Array(repeating: "UpDecoderBlock2D", count: levels)),
            "in_channels": .integer(config.imageChannels), "out_channels": .integer(config.imageChannels),
            "latent_channels": .integer(config.latentChannels), "layers_per_block": .integer(config.layersPerBlock),
            "mid_block_add_attention": .bool(config.midAttention), "norm_num_groups": .integer(config.normNumGroups),
            "sample_size": 512, "scaling_factor": number(config.scalingFactor),
            "use_quant_conv": .bool(config.quantConv), "use_post_quant_conv": .bool(config.postQuantConv),
        ]
    }

    /// `text_encoder/config.json`.
    package static func textEncoder(_ config: TextEncoderConfig) -> JSON {
        [
            "architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "attention_dropout": 0.0,
            "bos_token_id": .integer(config.bosTokenID), "eos_token_id": .integer(config.eosTokenID),
            "pad_token_id": .integer(config.padTokenID),
            "hidden_act": config.usesQuickGelu ? "quick_gelu" : "gelu", "hidden_size": .integer(config.width),
            "intermediate_size": .integer(config.innerWidth), "layer_norm_eps": number(config.layerNormEps),
            "max_position_embeddings": .integer(config.positions), "num_attention_heads": .integer(config.heads),
            "num_hidden_layers": .integer(config.layers), "projection_dim": .integer(config.width),
            "vocab_size": .integer(config.vocabularySize),
        ]
    }

    /// The shortest decimal that reads back as the same float32.
    private static func number(_ value: Float) -> JSON { .number(Double("\(value)") ?? Double(value)) }

    private static func integers(_ values: [Int]) -> JSON { .array(values.map { .integer($0) }) }

    private static func types(_ attention: [Bool], _ with: String, _ without: String) -> JSON {
        .array(attention.map { .string($0 ? with : without) })
    }
}
