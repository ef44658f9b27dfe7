"""Configurations of Stable Diffusion 1.5 as diffusers and transformers save them, and as they were published in 2022."""

import json

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig

from shared import MODELS, write_json

TARGET = f"{MODELS}/configurations"
TOLERANCE = 0
UNET_2022 = """act_fn attention_head_dim block_out_channels center_input_sample cross_attention_dim down_block_types
downsample_padding flip_sin_to_cos freq_shift in_channels layers_per_block mid_block_scale_factor norm_eps norm_num_groups
out_channels sample_size up_block_types _class_name""".split()
VAE_2022 = """act_fn block_out_channels down_block_types in_channels latent_channels layers_per_block norm_num_groups
out_channels sample_size up_block_types _class_name""".split()
# What EMAModel.save_pretrained adds.
EMA = {
    "decay": 0.9999, "inv_gamma": 1.0, "min_decay": 0.0, "optimization_step": 50000, "power": 2 / 3,
    "update_after_step": 0, "use_ema_warmup": False, "_name_or_path": "runwayml/stable-diffusion-v1-5"}
TEXT_2022 = {
    "_name_or_path": "openai/clip-vit-large-patch14", "dropout": 0.0, "torch_dtype": "float32",
    "transformers_version": "4.22.0.dev0"}


def configurations():
    with torch.device("meta"):
        unet = json.loads(UNet2DConditionModel(sample_size=64, cross_attention_dim=768).to_json_string())
        vae = json.loads(AutoencoderKL(
            block_out_channels=(128, 256, 512, 512), down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4, layers_per_block=2, sample_size=512).to_json_string())
    text = CLIPTextConfig(
        hidden_size=768, intermediate_size=3072, num_attention_heads=12, projection_dim=768, bos_token_id=0,
        eos_token_id=2, architectures=["CLIPTextModel"], dtype="float32")
    short = json.loads(text.to_json_string())
    old = {"_diffusers_version": "0.6.0"}
    yield "unet.diffusers-0.42", unet
    yield "unet.ema", unet | EMA
    yield "unet.diffusers-0.6", {key: unet[key] for key in UNET_2022} | old
    yield "vae.diffusers-0.42", vae
    yield "vae.diffusers-0.6", {key: vae[key] for key in VAE_2022} | old
    yield "text.transformers-5", short
    yield "text.transformers-5-full", json.loads(text.to_json_string(use_diff=False))
    yield "text.transformers-4", {key: value for key, value in short.items() if key != "dtype"} | TEXT_2022


def make(folder):
    for name, value in configurations():
        write_json(dict(sorted(value.items())), folder / f"{name}.json")
