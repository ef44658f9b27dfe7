"""Trajectories of six schedulers at 20 and 50 steps on the analytic model of samplers.py, whole latents."""

import json
from pathlib import Path

import diffusers
import torch
from safetensors.torch import save_file

from samplers import SHAPE, model
from shared import MODELS, committed, committed_json, write_json

TARGET = MODELS
TOLERANCE = 1e-6
CLASSES = {
    "pndm": "PNDMScheduler", "ddim": "DDIMScheduler", "ddim_v": "DDIMScheduler", "euler": "EulerDiscreteScheduler",
    "euler_a": "EulerAncestralDiscreteScheduler", "dpmpp_2m": "DPMSolverMultistepScheduler",
    "dpmpp_2m_karras": "DPMSolverMultistepScheduler",
}


def run(name, steps, config):
    scheduler = getattr(diffusers, CLASSES[name])(**config)
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(SHAPE, generator=generator) * scheduler.init_noise_sigma
    points = {"start": x.clone()}
    extra = {"generator": generator} if name == "euler_a" else {}
    for call, t in enumerate(scheduler.timesteps):
        x = scheduler.step(model(scheduler.scale_model_input(x, t), t), t, x, **extra).prev_sample
        if call + 1 in (1, 2, 4, steps // 2 + 1):
            points[f"after{call + 1}"] = x.clone()
    return points | {"end": x}, scheduler


def make(folder: Path):
    recorded = committed(f"{MODELS}/schedulers.safetensors")
    description = committed_json(f"{MODELS}/schedulers.json")
    tensors = {}
    for key, about in description["runs"].items():
        name, steps = key.split("/")
        config = {k: v for k, v in about["config"].items() if v != json.loads("-Infinity")}
        points, scheduler = run(name, int(steps), config)
        tensors |= {f"{key}/{point}": value for point, value in points.items()}
        about["timesteps"] = [float(t) for t in scheduler.timesteps]
        about["init_noise_sigma"] = float(scheduler.init_noise_sigma)
    training = diffusers.DDPMScheduler(**{k: v for k, v in description["kwargs"].items()})
    tensors["alphas_cumprod"] = training.alphas_cumprod
    x0, noise = recorded["add_noise/x0"], recorded["add_noise/noise"]
    tensors |= {"add_noise/x0": x0, "add_noise/noise": noise}
    for t in (0, 1, 250, 999):
        tensors[f"add_noise/{t}"] = training.add_noise(x0, noise, torch.tensor([t]))
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "schedulers.safetensors")
    write_json(description, folder / "schedulers.json")
