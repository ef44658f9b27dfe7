"""Small U-Nets, VAEs and a text encoder with synthetic weights, by diffusers and transformers."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

from shared import MODELS, committed, committed_json, fill, hooked, write_json

TARGET = MODELS
TOLERANCE = 1e-4
UNETS, VAES = ("unet_a", "unet_b", "unet_c", "unet_no_middle"), ("vae_a", "vae_b")


def unet(name):
    description = committed_json(f"{MODELS}/{name}.json")
    return fill(UNet2DConditionModel.from_config(description["config"]), description["salt"]), description


def unet_values(name):
    network, description = unet(name)
    recorded = committed(f"{MODELS}/{name}.safetensors")
    inputs = {key: recorded[key] for key in ("latent", "context")}
    latent = inputs["latent"].clone().requires_grad_()
    seen, prediction = hooked(network, description["hooks"], latent, description["timestep"], inputs["context"])
    tensors = inputs | {"eps": prediction.detach()}
    for hook, about in description["hooks"].items():
        activation = seen[hook]
        (gradient,) = torch.autograd.grad(-activation[..., about["channel"]].mean(), latent, retain_graph=True)
        tensors[f"{hook}/mean"], tensors[f"{hook}/grad"] = activation.detach().mean(1), gradient
        if f"{hook}/acts" in recorded:
            tensors[f"{hook}/acts"] = activation.detach()
    return tensors, description


def vae_values(name):
    description = committed_json(f"{MODELS}/{name}.json")
    vae = fill(AutoencoderKL.from_config(description["config"]), description["salt"])
    recorded = committed(f"{MODELS}/{name}.safetensors")
    with torch.no_grad():
        distribution = vae.encode(recorded["image"]).latent_dist
        decoded = vae.decode(recorded["latent"]).sample
    return {
        "latent": recorded["latent"], "image": recorded["image"], "decoded": decoded, "mean": distribution.mean,
        "logvar": distribution.logvar}, description


def text_values():
    description = committed_json(f"{MODELS}/text.json")
    encoder = CLIPTextModel(CLIPTextConfig(**description["config"]))
    with torch.no_grad():
        from shared import synthetic
        for name, parameter in encoder.named_parameters():
            name = name.removeprefix("text_model.")
            parameter.copy_(synthetic(name, list(parameter.shape), description["salt"]))
        ids = committed(f"{MODELS}/text.safetensors")["ids"]
        return {"ids": ids, "last_hidden_state": encoder.eval()(ids).last_hidden_state}, description


def make(folder: Path):
    torch.set_num_threads(1)
    sets = [(name, unet_values(name)) for name in UNETS] + [(name, vae_values(name)) for name in VAES]
    for name, (tensors, description) in sets + [("text", text_values())]:
        save_file({key: value.contiguous() for key, value in tensors.items()}, folder / f"{name}.safetensors")
        write_json(description, folder / f"{name}.json")
