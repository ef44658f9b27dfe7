#!/usr/bin/env python3
"""Store one Stable Diffusion 1.x model (a diffusers folder) in every container that lvo reads.

    python tools/containers.py MODEL OUTPUT        any diffusers folder with safetensors weights
    python tools/containers.py --tiny OUTPUT       a few thousand parameters: the fixtures of Tests/CheckpointsTests

Needs torch, safetensors and gguf. Weights are rounded to half precision first, so that the float32 and the half-precision
containers hold equal numbers. The original (LDM) names follow the conversion script that diffusers publishes
(scripts/convert_diffusers_to_original_stable_diffusion.py), generalized to any number of levels and layers.
"""

import argparse
import json
import os
import pickle
import re
import shutil
import zipfile

import gguf
import torch
from safetensors.torch import load_file, save_file

import tiny_model

WEIGHTS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}
# Stable Diffusion 1.5's own, which single files are taken to have.
SCHEDULER = {
    "_class_name": "PNDMScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
}
BIN = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "pytorch_model"}


def write_json(value, path):
    with open(path, "w") as file:
        json.dump(value, file, indent=1, sort_keys=True)
        file.write("\n")


# ---------------------------------------------------------------- original (LDM) names


def unet_names(config):
    """Pairs (diffusers prefix, LDM prefix)."""
    levels, layers = len(config["block_out_channels"]), config["layers_per_block"]
    step = layers + 1
    pairs = [
        ("time_embedding.linear_1.", "time_embed.0."),
        ("time_embedding.linear_2.", "time_embed.2."),
        ("conv_in.", "input_blocks.0.0."),
        ("conv_norm_out.", "out.0."),
        ("conv_out.", "out.2."),
        ("mid_block.attentions.0.", "middle_block.1."),
    ]
    pairs += [(f"mid_block.resnets.{j}.", f"middle_block.{2 * j}.") for j in range(2)]
    for i in range(levels):
        for j in range(layers):
            pairs.append((f"down_blocks.{i}.resnets.{j}.", f"input_blocks.{step * i + j + 1}.0."))
            pairs.append((f"down_blocks.{i}.attentions.{j}.", f"input_blocks.{step * i + j + 1}.1."))
        for j in range(step):
            pairs.append((f"up_blocks.{i}.resnets.{j}.", f"output_blocks.{step * i + j}.0."))
            pairs.append((f"up_blocks.{i}.attentions.{j}.", f"output_blocks.{step * i + j}.1."))
        pairs.append((f"down_blocks.{i}.downsamplers.0.conv.", f"input_blocks.{step * (i + 1)}.0.op."))
        place = 2 if config["up_block_types"][i].startswith("CrossAttn") else 1
        pairs.append((f"up_blocks.{i}.upsamplers.0.", f"output_blocks.{step * i + layers}.{place}."))
    return pairs


UNET_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}


def unet_to_ldm(weights, config):
    pairs = unet_names(config)
    result = {}
    for name, tensor in weights.items():
        prefix, new = next((a, b) for a, b in pairs if name.startswith(a))
        rest = name[len(prefix):]
        if ".resnets." in name:
            part, tail = rest.split(".")
            rest = f"{UNET_RESNET[part]}.{tail}"
        result["model.diffusion_model." + new + rest] = tensor
    return result


VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def vae_to_ldm(weights, config):
    levels = len(config["block_out_channels"])
    result = {}
    for name, tensor in weights.items():
        new = re.sub(r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block.", name)
        new = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0\.", r"down.\1.downsample.", new)
        new = re.sub(r"up_blocks\.(\d+)\.", lambda match: f"up.{levels - 1 - int(match[1])}.", new)
        new = new.replace(".resnets.", ".block.").replace("upsamplers.0.", "upsample.")
        new = re.sub(r"mid_block\.block\.(\d)", lambda match: f"mid.block_{int(match[1]) + 1}", new)
        new = new.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
        if "mid_block.attentions.0." in new:
            head, rest = new.split("mid_block.attentions.0.")
            part, tail = rest.rsplit(".", 1)
            new = f"{head}mid.attn_1.{VAE_ATTENTION[part]}.{tail}"
            if part != "group_norm" and tail == "weight":
                tensor = tensor[:, :, None, None].contiguous()
        result["first_stage_model." + new] = tensor
    return result


def to_ldm(model, with_prefix=True):
    result = unet_to_ldm(model["unet"][1], model["unet"][0])
    result |= vae_to_ldm(model["vae"][1], model["vae"][0])
    cut = 0 if with_prefix else len("text_model.")
    for name, tensor in model["text_encoder"][1].items():
        result["cond_stage_model.transformer." + name[cut:]] = tensor
    length = model["text_encoder"][0]["max_position_embeddings"]
    text = "cond_stage_model.transformer." + ("text_model." if with_prefix else "")
    result[text + "embeddings.position_ids"] = torch.arange(length)[None]
    result["betas"] = torch.linspace(0.0, 1.0, 4)
    return result


# ---------------------------------------------------------------- the containers


def converted(weights, dtype):
    return {k: v.to(dtype) if v.is_floating_point() else v for k, v in weights.items()}


def write_folder(model, folder, save):
    """`save(component, weights, folder)` writes the weights."""
    for component, (config, weights) in model.items():
        os.makedirs(f"{folder}/{component}")
        write_json(config, f"{folder}/{component}/config.json")
        save(component, weights, f"{folder}/{component}")
    os.makedirs(f"{folder}/scheduler")
    write_json(SCHEDULER, f"{folder}/scheduler/scheduler_config.json")
    write_json({"_class_name": "StableDiffusionPipeline"}, f"{folder}/model_index.json")


def save_plain(component, weights, folder):
    save_file(weights, f"{folder}/{WEIGHTS[component]}.safetensors")


def save_half(component, weights, folder):
    save_file(converted(weights, torch.float16), f"{folder}/{WEIGHTS[component]}.fp16.safetensors")


def save_sharded(component, weights, folder):
    weights = converted(weights, torch.float16)
    names = sorted(weights)
    index = {"metadata": {}, "weight_map": {}}
    for i, part in enumerate([names[: len(names) // 2], names[len(names) // 2:]]):
        file = f"{WEIGHTS[component]}-{i + 1:05}-of-00002.safetensors"
        save_file({name: weights[name] for name in part}, f"{folder}/{file}")
        index["weight_map"] |= {name: file for name in part}
    write_json(index, f"{folder}/{WEIGHTS[component]}.safetensors.index.json")


def save_bin(component, weights, folder):
    weights = converted(weights, torch.float16)
    if component == "text_encoder":
        weights = {name.removeprefix("text_model."): tensor for name, tensor in weights.items()}
    if component == "unet":  # a transposed view: its elements do not lie in order
        name = next(n for n in weights if n.endswith("attn1.to_q.weight"))
        weights[name] = weights[name].T.contiguous().T
    torch.save(weights, f"{folder}/{BIN[component]}.bin")


def save_old_vae(component, weights, folder):
    if component == "vae":
        for new, old in {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}.items():
            weights = {k.replace(f"attentions.0.{new}.", f"attentions.0.{old}."): v for k, v in weights.items()}
    save_plain(component, converted(weights, torch.float16), folder)


def sidecar(model):
    """What shapes do not tell."""
    keys = {
        "unet": ["attention_head_dim", "norm_num_groups", "sample_size"],
        "vae": ["norm_num_groups", "sample_size", "scaling_factor"],
        "text_encoder": ["num_attention_heads", "bos_token_id", "eos_token_id", "pad_token_id"],
    }
    return {c: {key: model[c][0][key] for key in names if key in model[c][0]} for c, names in keys.items()}


def with_ema(ldm):
    prefix = "model.diffusion_model."
    own = [k for k in ldm if k.startswith(prefix)][:3]
    copies = {"model_ema.diffusion_model" + k[len(prefix):].replace(".", ""): ldm[k] + 1 for k in own}
    return ldm | copies | {"model_ema.decay": torch.tensor(0.9999), "model_ema.num_updates": torch.tensor(7)}


def write_gguf(weights, path):
    """As stable-diffusion.cpp writes a whole model."""
    writer = gguf.GGUFWriter(path, "")
    for name, tensor in weights.items():
        writer.add_tensor(name, tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_containers(model, output):
    write_folder(model, f"{output}/folder-fp32", save_plain)
    write_folder(model, f"{output}/folder-fp16", save_half)
    write_folder(model, f"{output}/folder-sharded", save_sharded)
    write_folder(model, f"{output}/folder-bin", save_bin)
    write_folder(model, f"{output}/folder-old-vae", save_old_vae)
    half = converted(to_ldm(model), torch.float16)
    metadata = {"lvo.config": json.dumps(sidecar(model))}
    save_file(with_ema(half), f"{output}/ldm-fp16-ema.safetensors", metadata=metadata)
    save_file(to_ldm(model, with_prefix=False), f"{output}/ldm-fp32.safetensors")
    write_json(sidecar(model), f"{output}/ldm-fp32.json")
    training = {"epoch": 1, "global_step": 2, "lr_schedulers": [], "loss": 0.5}
    torch.save(training | {"state_dict": half}, f"{output}/ldm-pickle.ckpt")
    write_json(sidecar(model), f"{output}/ldm-pickle.json")
    torch.save({"state_dict": to_ldm(model)}, f"{output}/ldm-legacy.ckpt", _use_new_zipfile_serialization=False)
    write_json(sidecar(model), f"{output}/ldm-legacy.json")
    write_gguf(half, f"{output}/ldm.gguf")
    write_json(sidecar(model), f"{output}/ldm.json")
    prefix = "first_stage_model."
    vae = {k.removeprefix(prefix): v for k, v in half.items() if k.startswith(prefix)}
    torch.save({"state_dict": vae | {"loss.logvar": torch.zeros(())}}, f"{output}/vae.ckpt")


# ---------------------------------------------------------------- LoRAs of the tiny model


BLOCK = "down_blocks.0.attentions.0.transformer_blocks.0"
LINEAR = [
    ("unet", f"{BLOCK}.attn1.to_q"),
    ("unet", f"{BLOCK}.attn2.to_out.0"),
    ("text_encoder", "text_model.encoder.layers.1.self_attn.q_proj"),
]
CONVOLUTIONS = [("unet", "down_blocks.0.resnets.0.conv1"), ("unet", "mid_block.attentions.0.proj_in")]


def write_loras(model, output):
    """Each convention with the merged weights beside it, for the scale 0.5 (kohya) or 1."""
    os.makedirs(f"{output}/lora/peft")
    generator = torch.Generator().manual_seed(4)
    rank, alpha = 2, 1.0
    factors = {}
    for component, name in LINEAR + CONVOLUTIONS:
        weight = model[component][1][name + ".weight"]
        down = torch.randn([rank, *weight.shape[1:]], generator=generator)
        up = torch.randn([weight.shape[0], rank] + [1] * (weight.dim() - 2), generator=generator)
        factors[component, name] = (down, up)

    def save_merged(targets, scale, file):
        result = {}
        for component, name in targets:
            down, up = (t.double().flatten(1) for t in factors[component, name])
            weight = model[component][1][name + ".weight"].double()
            result[f"{component}/{name}.weight"] = (weight + scale * (up @ down).reshape(weight.shape)).float()
        save_file(result, f"{output}/lora/{file}-merged.safetensors")

    kohya = {}
    for component, name in LINEAR + CONVOLUTIONS:
        key = ("lora_unet_" if component == "unet" else "lora_te_") + name.replace(".", "_")
        down, up = factors[component, name]
        kohya |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up, f"{key}.alpha": torch.tensor(alpha)}
    kohya["lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight"] = torch.zeros(2, 4)
    save_file(kohya, f"{output}/lora/kohya.safetensors")
    save_merged(LINEAR + CONVOLUTIONS, 0.5 * alpha / rank, "kohya")

    diffusers, old, peft = {}, {}, {}
    for component, name in LINEAR:
        down, up = factors[component, name]
        diffusers |= {f"{component}.{name}.lora_A.weight": down, f"{component}.{name}.lora_B.weight": up}
        if component == "unet":
            peft |= {f"base_model.model.{name}.lora_A.weight": down, f"base_model.model.{name}.lora_B.weight": up}
            path, part = name.removesuffix(".0").rsplit(".", 1)
            path = f"unet.{path}.processor.{part}_lora"
        else:
            path = f"{component}.{name.replace('q_proj', 'to_q')}_lora"
        old |= {f"{path}.down.weight": down, f"{path}.up.weight": up}
    save_file(diffusers, f"{output}/lora/diffusers.safetensors")
    torch.save(old, f"{output}/lora/diffusers-old.bin")
    save_merged(LINEAR, 1.0, "diffusers")
    save_file(peft, f"{output}/lora/peft/adapter_model.safetensors")
    write_json({"r": rank, "lora_alpha": 6}, f"{output}/lora/peft/adapter_config.json")
    save_merged(LINEAR[:2], 3.0, "peft")


# ---------------------------------------------------------------- what must be refused


class Malicious:
    def __reduce__(self):
        return os.system, ("true",)


def write_refused(output):
    os.makedirs(f"{output}/refused")
    torch.save({"a.weight": Malicious(), "b.weight": torch.zeros(2)}, f"{output}/refused/malicious.ckpt")
    torch.save({"a.weight": torch.zeros(2, dtype=torch.complex64)}, f"{output}/refused/complex.ckpt")
    with zipfile.ZipFile(f"{output}/refused/compressed.ckpt", "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo("archive/data.pkl")  # of a fixed date
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, pickle.dumps({"a": "x" * 1000}, protocol=2))


def load_model(folder):
    model = {}
    for component, name in WEIGHTS.items():
        weights = load_file(f"{folder}/{component}/{name}.safetensors")
        if component == "text_encoder":
            weights = {k if k.startswith("text_model.") else f"text_model.{k}": v for k, v in weights.items()}
        weights = {k: v.half().float() for k, v in weights.items() if not k.endswith("position_ids")}
        with open(f"{folder}/{component}/config.json") as file:
            model[component] = (json.load(file), weights)
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("model", nargs="?")
    parser.add_argument("output")
    arguments = parser.parse_args()
    if arguments.tiny == (arguments.model is not None):
        parser.error("give either a model folder or --tiny")
    shutil.rmtree(arguments.output, ignore_errors=True)
    os.makedirs(arguments.output)
    model = tiny_model.model() if arguments.tiny else load_model(arguments.model)
    write_containers(model, arguments.output)
    if arguments.tiny:
        write_loras(model, arguments.output)
        write_refused(arguments.output)


if __name__ == "__main__":
    main()
