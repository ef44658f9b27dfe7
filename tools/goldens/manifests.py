"""Names and shapes of every tensor of Stable Diffusion 1.5, from diffusers' and transformers' own classes."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from sd15 import TEXT, UNET, VAE
from shared import write_json

TARGET = "Tests/CheckpointsTests/Fixtures/manifests"
TOLERANCE = 0.0


def make(folder: Path):
    with torch.device("meta"):
        networks = {
            "sd15_unet": UNet2DConditionModel(**UNET), "sd15_vae": AutoencoderKL(**VAE),
            "sd15_text_encoder": CLIPTextModel(CLIPTextConfig(**TEXT))}
    for name, network in networks.items():
        prefix = "text_model." if name == "sd15_text_encoder" else ""
        shapes = {
            prefix + key.removeprefix(prefix): list(value.shape) for key, value in network.named_parameters()}
        write_json(shapes, folder / f"{name}.json", indent=0)
