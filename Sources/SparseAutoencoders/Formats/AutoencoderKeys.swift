import Files

/// The keys of autoencoders' configurations.
extension ConfigurationKey {
    /// `cfg.json` of sparsify and SAeUron, and of our own `activation`'s further values, `prefixes`, and `precision`, in which
    /// it was trained. `signed` kept negative activations in early versions; with `skip_connection` or `transcode` it is not
    /// an autoencoder.
    package static let sparsify =
        used(
            """
            d_in expansion_factor num_latents k normalize_decoder multi_topk batch_topk sample_topk input_unit_norm
            activation prefixes
            """) + harmless("precision") + refused("transcode skip_connection signed", unless: false)

    /// `cfg.json` of SAELens 1 to 6. Up to version 2 it is the whole training configuration.
    package static let saeLens =
        used(
            """
            d_in d_sae architecture activation_fn activation_fn_str activation_fn_kwargs k apply_b_dec_to_input
            normalize_activations rescale_acts_by_decoder_norm
            """)
        + refused("finetuning_scaling_factor use_error_term", unless: false)
        + refused("reshape_activations", unless: "none")
        + refused("d_out hook_name_out hook_layer_out hook_head_index_out hook_point_head_index hook_head_index")
        + harmless(
            """
            dtype device metadata sae_lens_version sae_lens_training_version model_name model_class_name model_kwargs
            model_from_pretrained_kwargs hook_name hook_point hook_eval hook_layer hook_point_layer seqpos_slice
            hf_hook_name neuronpedia_id context_size prepend_bos exclude_special_tokens dataset_path
            dataset_trust_remote_code streaming is_dataset_tokenized use_cached_activations cached_activations_path
            b_dec_init_method normalize_sae_decoder noise_scale from_pretrained_path decoder_orthogonal_init
            decoder_heuristic_init decoder_heuristic_init_norm decoder_init_norm init_encoder_as_decoder_transpose
            expansion_factor n_batches_in_buffer training_tokens finetuning_tokens finetuning_method
            store_batch_size_prompts store_batch_size train_batch_size train_batch_size_tokens act_store_device seed
            autocast autocast_lm compile_llm llm_compilation_mode compile_sae sae_compilation_mode adam_beta1
            adam_beta2 mse_loss_normalization l1_coefficient l0_lambda lp_norm scale_sparsity_penalty_by_decoder_norm
            l1_warm_up_steps l0_coefficient l0_warm_up_steps lr lr_scheduler_name lr_warm_up_steps lr_end
            lr_decay_steps n_restart_cycles use_ghost_grads feature_sampling_window dead_feature_window
            dead_feature_threshold n_eval_batches eval_batch_size_prompts log_to_wandb log_activations_store_to_wandb
            log_optimizer_state_to_wandb log_weights_to_wandb wandb_project wandb_id run_name wandb_entity
            wandb_log_frequency eval_every_n_wandb_logs resume n_checkpoints checkpoint_path save_final_checkpoint
            output_path verbose tokens_per_buffer jumprelu_init_threshold jumprelu_bandwidth
            aux_loss_coefficient topk_threshold_lr use_sparse_activations jumprelu_sparsity_loss_mode
            pre_act_loss_coefficient jumprelu_tanh_scale jumprelu_ste_to_input matryoshka_widths
            use_matryoshka_aux_loss
            """)

    /// Member `activation_fn_kwargs` of SAELens'.
    static let saeLensActivation = used("k") + harmless("use_sparse_activations")

    /// Member `trainer` of dictionary_learning's `config.json`. Its `ae.pt` has the normalisation of the activations
    /// (`norm_factor`) in its biases already.
    package static let dictionaryLearning =
        used("dict_class activation_dim dict_size k group_sizes")
        + harmless(
            """
            trainer_class lr steps seed device layer lm_name wandb_name submodule_name warmup_steps decay_start
            l1_penalty sparsity_warmup_steps resample_steps auxk_alpha threshold_beta threshold_start_step top_k_aux
            group_fractions group_weights bandwidth sparsity_penalty sparsity_function target_l0 p_start p_end
            anneal_start anneal_end sparsity_queue_length n_sparsity_updates norm_factor
            """)

    /// The tables as Markdown, for docs/models.md.
    package static var autoencoders: String {
        [("sparsify, SAeUron", sparsify), ("SAELens", saeLens), ("dictionary_learning", dictionaryLearning)]
            .reduce(head) { $0 + rows($1.0, $1.1) }
    }
}
