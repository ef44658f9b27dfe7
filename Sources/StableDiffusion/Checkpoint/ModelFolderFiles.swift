import Files

/// The JSON files of a diffusers folder, as Stable Diffusion 1.5 has them.
public enum ModelFolderFiles {
    /// Path in the folder → contents.
    public static let sd15: [(path: String, json: JSON)] = [
        ("model_index.json", modelIndex(tokenizer: false)),
        ("scheduler/scheduler_config.json", scheduler(predictionType: "epsilon")),
        ("unet/config.json", unet(.sd15)),
        ("vae/config.json", vae(.sd15)),
        ("text_encoder/config.json", textEncoder(.sd15)),
    ]

    public static func modelIndex(tokenizer: Bool) -> JSON {
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

    /// Without `timestep_spacing`, as published: other samplers made from it then take their own.
    ///
    /// With zero terminal SNR, DDIM from the last time step on: PNDM does not know that schedule (Lin et al. 2023).
    public static func scheduler(predictionType: String, zeroTerminalSNR: Bool = false) -> JSON {
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

    /// - Parameters:
    ///   - heads: the number of attention heads, which diffusers keeps under `attention_head_dim`.
    ///   - groups: of the group norms.
    public static func unet(_ layout: UNetLayout, heads: Int = 8, groups: Int = 32, sampleSize: Int = 64) -> JSON {
        [
            "_class_name": "UNet2DConditionModel", "act_fn": "silu", "attention_head_dim": .integer(heads),
            "block_out_channels": integers(layout.widths), "center_input_sample": false,
            "cross_attention_dim": .integer(layout.contextWidth),
            "down_block_types": types(layout.downAttention, "CrossAttnDownBlock2D", "DownBlock2D"),
            "up_block_types": types(layout.upAttention, "CrossAttnUpBlock2D", "UpBlock2D"),
            "downsample_padding": 1, "flip_sin_to_cos": true, "freq_shift": 0,
            "in_channels": .integer(layout.inChannels), "out_channels": .integer(layout.outChannels),
            "layers_per_block": .integer(layout.layersPerBlock), "mid_block_scale_factor": 1, "norm_eps": 1e-5,
            "norm_num_groups": .integer(groups), "sample_size": .integer(sampleSize),
            "use_linear_projection": .bool(layout.linearProjection),
        ]
    }

    /// - Parameter scalingFactor: what latents are multiplied by after encoding.
    public static func vae(
        _ layout: VAELayout, groups: Int = 32, sampleSize: Int = 512, scalingFactor: Double = 0.18215
    ) -> JSON {
        let levels = layout.widths.count
        return [
            "_class_name": "AutoencoderKL", "act_fn": "silu", "block_out_channels": integers(layout.widths),
            "down_block_types": .array(Array(repeating: "DownEncoderBlock2D", count: levels)),
            "up_block_types": .array(Array(repeating: "UpDecoderBlock2D", count: levels)),
            "in_channels": .integer(layout.imageChannels), "out_channels": .integer(layout.imageChannels),
            "latent_channels": .integer(layout.latentChannels), "layers_per_block": .integer(layout.layersPerBlock),
            "mid_block_add_attention": .bool(layout.midAttention), "norm_num_groups": .integer(groups),
            "sample_size": .integer(sampleSize), "scaling_factor": .number(scalingFactor),
            "use_quant_conv": .bool(layout.quantConv), "use_post_quant_conv": .bool(layout.postQuantConv),
        ]
    }

    /// - Parameter heads: nil for CLIP's rule, one per 64 channels.
    public static func textEncoder(_ layout: TextEncoderLayout, heads: Int? = nil) -> JSON {
        let last = layout.vocabularySize - 1
        return [
            "architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "attention_dropout": 0.0,
            "bos_token_id": .integer(last - 1), "eos_token_id": .integer(last), "pad_token_id": .integer(last),
            "hidden_act": "quick_gelu", "hidden_size": .integer(layout.width),
            "intermediate_size": .integer(layout.innerWidth), "layer_norm_eps": 1e-5,
            "max_position_embeddings": .integer(layout.positions),
            "num_attention_heads": .integer(heads ?? max(1, layout.width / 64)),
            "num_hidden_layers": .integer(layout.layers), "projection_dim": .integer(layout.width),
            "vocab_size": .integer(layout.vocabularySize),
        ]
    }

    private static func integers(_ values: [Int]) -> JSON { .array(values.map { .integer($0) }) }

    private static func types(_ attention: [Bool], _ with: String, _ without: String) -> JSON {
        .array(attention.map { .string($0 ? with : without) })
    }
}
