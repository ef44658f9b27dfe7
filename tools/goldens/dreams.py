"""Whole dreams on the small U-Net `unet_a`: every random draw is recorded in the fixture, everything else made anew."""

from pathlib import Path

import diffusers
import torch
from safetensors.torch import save_file

from networks import unet
from regularizers import TARGET, moment, range_penalty, roll, sigma, smooth, spectral, total_variation, warp
from samplers import BASE
from shared import committed, committed_json, hooked, write_json

TOLERANCE = 1e-3


def activation(acts, run, tensors):
    """The mean over batch and positions of a channel, or of a feature before selection."""
    if not run["encoded"]:
        return acts[..., run["feature"]].mean()
    j = run["feature"]
    weight, bias = tensors["sae/encoder.weight"][j], tensors["sae/encoder.bias"][j]
    return torch.relu((acts - tensors["sae/b_dec"]) @ weight + bias).mean()


def dream(name, run, description, recorded, network, schedule):
    z = recorded[f"{name}/start"].clone().requires_grad_()
    optimizer = torch.optim.AdamW([z], lr=run["lr"])
    tensors, log = {f"{name}/start": z.detach().clone()}, []
    context = recorded["context"].expand(z.shape[0], -1, -1)
    for step in range(run["steps"]):
        draws = {k: run["log"][step][k] for k in ("roll", "angle", "scale") if k in run["log"][step]}
        seen = roll(z, draws["roll"]) if "roll" in draws else z
        if "angle" in draws:
            seen = warp(seen, draws["angle"], draws["scale"])
        if run["noise"]:
            noise = recorded[f"{name}/noise/{step}"]
            tensors[f"{name}/noise/{step}"] = noise
            seen = schedule.add_noise(seen, noise, torch.tensor([run["timestep"]]))
        acts, _ = hooked(network, [description["hook"]], seen, run["timestep"], context)
        value = activation(acts[description["hook"]], run, recorded)
        penalties = [
            run["tv"] * total_variation(z), run["range"] * range_penalty(z, run["range_threshold"]),
            run["moment"] * moment(z)]
        loss = -value + sum(penalties)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            tensors[f"{name}/grad0"] = z.grad.clone()
        if run["spectral"]:
            z.grad = spectral(z.grad)
        z.grad = smooth(z.grad, sigma(step, run["steps"], run["sigma_start"], run["sigma_end"]))
        optimizer.step()
        log.append(draws | {
            "activation": float(value), "penalties": [float(p) for p in penalties], "loss": float(loss)})
        if step + 1 in (1, run["steps"]):
            tensors[f"{name}/latent{step + 1}"] = z.detach().clone()
    return tensors, run | {"log": log}


def make(folder: Path):
    torch.set_num_threads(1)
    recorded = committed(f"{TARGET}/lvo_runs.safetensors")
    description = committed_json(f"{TARGET}/lvo_runs.json")
    network, _ = unet(description["unet"])
    schedule = diffusers.PNDMScheduler(**BASE, skip_prk_steps=True)
    tensors = {key: value for key, value in recorded.items() if key == "context" or key in (
        "sae/W_dec", "sae/b_dec", "sae/encoder.weight", "sae/encoder.bias")}
    for name, run in description["runs"].items():
        made, description["runs"][name] = dream(name, run, description, recorded, network, schedule)
        tensors |= made
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "lvo_runs.safetensors")
    write_json(description, folder / "lvo_runs.json")
