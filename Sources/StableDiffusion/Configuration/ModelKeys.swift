import Files

/// The keys of a model folder's configurations. Treatments follow what diffusers 0.42 and transformers 5 compute.
extension ConfigurationKey {
    /// `unet/config.json` (`UNet2DConditionModel`). Those of its averages over training (`EMAModel`) are harmless, and so
    /// are those that are read only beside a refused one.
    package static let unet =
        used(
            """
            sample_size in_channels out_channels flip_sin_to_cos freq_shift down_block_types mid_block_type up_block_types
            block_out_channels layers_per_block norm_num_groups norm_eps cross_attention_dim attention_head_dim
            use_linear_projection
            """)
        + refused("_class_name", unless: "UNet2DConditionModel")
        + refused(
            """
            dual_cross_attention center_input_sample resnet_skip_time_act class_embeddings_concat
            mid_block_only_cross_attention
            """, unless: false)
        + refusedPerLevel("only_cross_attention", unless: false) + refusedPerLevel("transformer_layers_per_block", unless: 1)
        + refused(
            "downsample_padding mid_block_scale_factor resnet_out_scale_factor", unless: 1)
        + refused("conv_in_kernel conv_out_kernel", unless: 3)
        + refused("resnet_time_scale_shift attention_type", unless: "default")
        + refused("act_fn", unless: "silu", "swish")
        + refused("time_embedding_type", unless: "positional")
        + refused(
            """
            num_attention_heads class_embed_type num_class_embeds addition_embed_type encoder_hid_dim encoder_hid_dim_type
            time_cond_proj_dim reverse_transformer_layers_per_block time_embedding_dim time_embedding_act_fn
            timestep_post_act cross_attention_norm quantization_config
            """)
        + harmless(
            """
            dropout upcast_attention addition_time_embed_dim addition_embed_type_num_heads
            projection_class_embeddings_input_dim decay min_decay inv_gamma power optimization_step update_after_step
            use_ema_warmup
            """)

    /// `vae/config.json` (`AutoencoderKL`).
    package static let vae =
        used(
            """
            in_channels out_channels down_block_types up_block_types block_out_channels layers_per_block latent_channels
            norm_num_groups scaling_factor use_quant_conv use_post_quant_conv mid_block_add_attention
            """)
        + refused("_class_name", unless: "AutoencoderKL") + refused("act_fn", unless: "silu", "swish")
        + refused("shift_factor latents_mean latents_std quantization_config") + harmless("sample_size force_upcast")

    /// `text_encoder/config.json` (`CLIPTextModel`), with what every configuration of transformers may hold.
    package static let textEncoder =
        used(
            """
            vocab_size max_position_embeddings hidden_size intermediate_size num_hidden_layers num_attention_heads hidden_act
            layer_norm_eps bos_token_id eos_token_id pad_token_id
            """)
        + refused("model_type", unless: "clip_text_model") + refused("use_attention_mask", unless: false)
        + refused("pruned_heads", unless: [:]) + refused("quantization_config text_config")
        + harmless(
            """
            architectures projection_dim attention_dropout dropout initializer_factor initializer_range torch_dtype dtype
            transformers_version attn_implementation gradient_checkpointing return_dict output_hidden_states
            output_attentions torchscript use_bfloat16 use_cache is_decoder is_encoder_decoder add_cross_attention
            cross_attention_hidden_size tie_encoder_decoder tie_word_embeddings chunk_size_feed_forward tf_legacy_loss
            id2label label2id num_labels problem_type finetuning_task task_specific_params tokenizer_class prefix
            sep_token_id decoder_start_token_id max_length min_length do_sample early_stopping num_beams num_beam_groups
            diversity_penalty temperature top_k top_p typical_p repetition_penalty length_penalty no_repeat_ngram_size
            encoder_no_repeat_ngram_size bad_words_ids num_return_sequences output_scores return_dict_in_generate
            forced_bos_token_id forced_eos_token_id remove_invalid_values exponential_decay_length_penalty
            suppress_tokens begin_suppress_tokens
            """)

    /// The tables as Markdown, for docs/models.md.
    package static var models: String {
        [("U-Net", unet), ("VAE", vae), ("text encoder", textEncoder)].reduce(head) { $0 + rows($1.0, $1.1) }
    }
}
