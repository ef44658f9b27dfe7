"""Stable Diffusion 1.5 at full size with synthetic weights: 4.3 GB of memory, some minutes."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

from shared import MODELS, committed, committed_json, fill, hooked, synthetic, write_json

TARGET = MODELS
# Half floats of the VAE's picture; the rest is within 1e-4.
TOLERANCE = 1e-3
UNET = {
    "sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8, "block_out_channels": [320, 640, 1280, 1280],
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
    "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
}
VAE = {
    "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 4,
    "down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4,
}
TEXT = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
    "max_position_embeddings": 77, "hidden_act": "quick_gelu", "vocab_size": 49408,
}


def text(recorded):
    encoder = CLIPTextModel(CLIPTextConfig(**TEXT)).eval()
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            name = "text_model." + name.removeprefix("text_model.")
            parameter.copy_(synthetic(name, list(parameter.shape)))
        return {
            "ids": recorded["ids"], "ids_empty": recorded["ids_empty"],
            "text": encoder(recorded["ids"]).last_hidden_state,
            "text_empty": encoder(recorded["ids_empty"]).last_hidden_state}


def unet(recorded, description, context):
    network = fill(UNet2DConditionModel(**UNET))
    tensors = {}
    for run in description["unet"]:
        tag = run["tag"]
        latent = recorded[f"{tag}/latent"].clone().requires_grad_()
        seen, prediction = hooked(network, run["hooks"], latent, run["timestep"], context)
        tensors |= {f"{tag}/latent": latent.detach(), f"{tag}/eps": prediction.detach()}
        for hook, about in run["hooks"].items():
            (gradient,) = torch.autograd.grad(-seen[hook][..., about["channel"]].mean(), latent, retain_graph=True)
            tensors[f"{tag}/{hook}/grad"], tensors[f"{tag}/{hook}/mean"] = gradient, seen[hook].detach().mean(1)
    return tensors


def vae(recorded):
    network = fill(AutoencoderKL(**VAE))
    with torch.no_grad():
        distribution = network.encode(recorded["vae/image"].float()).latent_dist
        decoded = network.decode(recorded["vae/latent"]).sample
    return {
        "vae/latent": recorded["vae/latent"], "vae/image": recorded["vae/image"], "vae/decoded": decoded.half(),
        "vae/mean": distribution.mean, "vae/logvar": distribution.logvar}


def make(folder: Path):
    recorded = committed(f"{MODELS}/sd15_synthetic.safetensors")
    description = committed_json(f"{MODELS}/sd15_synthetic.json")
    tensors = text(recorded)
    tensors |= unet(recorded, description, tensors["text_empty"])
    tensors |= vae(recorded)
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "sd15_synthetic.safetensors")
    write_json(description, folder / "sd15_synthetic.json")
