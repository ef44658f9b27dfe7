import Files

/// What each key of PEFT's configuration means here. A key that is on neither list must say nothing (null, false, empty).
extension AdapterConfig {
    package static let used: Set<String> = [
        "peft_type", "r", "lora_alpha", "alpha", "use_rslora", "rank_pattern", "alpha_pattern", "feedforward_modules",
        "init_lora_weights", "layer_replication",
    ]

    /// How it was trained, or what its tensors tell by themselves.
    package static let harmless: Set<String> = [
        "auto_mapping", "base_model_name_or_path", "revision", "task_type", "inference_mode", "peft_version",
        "target_modules", "exclude_modules", "target_parameters", "layers_to_transform", "layers_pattern", "lora_dropout",
        "rank_dropout", "module_dropout", "rank_dropout_scale", "fan_in_fan_out", "bias", "lora_bias", "use_dora",
        "modules_to_save", "init_weights", "init_ia3_weights", "loftq_config", "eva_config", "corda_config",
        "megatron_config", "megatron_core", "runtime_config", "use_effective_conv2d", "decompose_both",
        "decompose_factor", "qalora_group_size", "ensure_weight_tying", "arrow_config", "lora_ga_config",
    ]

    /// Starts that change the base model's weights too, so that the file alone does not tell the result.
    private static let changingStarts = ["pissa", "olora", "corda", "loftq", "lora_ga"]

    static func checkKeys(_ file: ConfigFile) throws {
        for (key, value) in file.json.object ?? JSONObject() where !used.contains(key) && !harmless.contains(key) {
            guard value.saysNothing else {
                throw file.bad(key, expected: "nothing, as its meaning is not known here", found: value.serialized())
            }
        }
        if let start = file.json["init_lora_weights"]?.string,
            changingStarts.contains(where: { start.lowercased().hasPrefix($0) })
        {
            throw file.bad(
                "init_lora_weights", expected: "a start that leaves the base model as it is (convert it with PEFT)",
                found: start)
        }
        if let replication = file.json["layer_replication"], !replication.saysNothing {
            throw file.bad("layer_replication", expected: "nothing", found: replication.serialized())
        }
    }
}
