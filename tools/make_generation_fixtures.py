#!/usr/bin/env python3
"""Whole generations by diffusers, as fixtures: final latents of a small model for every sampler and start.

    python3 tools/make_generation_fixtures.py --model MODEL_FOLDER --output FOLDER

Needs torch, diffusers, transformers, safetensors and Pillow. Writes generation.safetensors (final latents by run,
the start picture, recorded activations) and generation.json (what each run was).
"""

import argparse
import json
from pathlib import Path

import diffusers
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline
from PIL import Image
from safetensors.torch import save_file

SAMPLERS = {
    "pndm": (diffusers.PNDMScheduler, {}),
    "ddim": (diffusers.DDIMScheduler, {}),
    "euler": (diffusers.EulerDiscreteScheduler, {}),
    "euler_a": (diffusers.EulerAncestralDiscreteScheduler, {}),
    "dpmpp_2m": (diffusers.DPMSolverMultistepScheduler, {}),
    "dpmpp_2m_karras": (diffusers.DPMSolverMultistepScheduler, {"use_karras_sigmas": True}),
}
PROMPT = "a large red circle at the left on a blue background with diagonal stripes"
HOOK = "up_blocks.2.attentions.1"

RUNS = {
    "pndm": {"sampler": "pndm", "steps": 30, "guidance": 4.0, "seed": 1024},
    "ddim": {"sampler": "ddim", "steps": 30, "guidance": 4.0, "seed": 1111},
    "euler": {"sampler": "euler", "steps": 30, "guidance": 4.0, "seed": 4359},
    "euler_a": {"sampler": "euler_a", "steps": 20, "guidance": 4.0, "seed": 3248},
    "dpmpp_2m": {"sampler": "dpmpp_2m", "steps": 20, "guidance": 4.0, "seed": 1026},
    "dpmpp_2m_karras": {"sampler": "dpmpp_2m_karras", "steps": 12, "guidance": 4.0, "seed": 7},
    "unguided": {"sampler": "ddim", "steps": 10, "guidance": 1.0, "seed": 8},
    "negative": {"sampler": "pndm", "steps": 10, "guidance": 7.5, "seed": 9, "negative": "dots"},
    "wide": {"sampler": "euler", "steps": 10, "guidance": 4.0, "seed": 10, "width": 96, "height": 64},
    "large": {"sampler": "ddim", "steps": 6, "guidance": 4.0, "seed": 16, "width": 96, "height": 96},
    "clip_skip": {"sampler": "ddim", "steps": 10, "guidance": 4.0, "seed": 11, "clip_skip": 1},
    "picture_pndm": {"sampler": "pndm", "steps": 20, "guidance": 4.0, "seed": 12, "strength": 0.6},
    "picture_euler": {"sampler": "euler", "steps": 20, "guidance": 4.0, "seed": 13, "strength": 0.5},
    "picture_dpmpp_2m": {"sampler": "dpmpp_2m", "steps": 20, "guidance": 4.0, "seed": 14, "strength": 0.75},
    "steered": {
        "sampler": "pndm", "steps": 10, "guidance": 4.0, "seed": 15,
        "hook": HOOK, "channel": 3, "add": 6.0, "from": 300, "to": 800,
    },
}


def steer(pipeline, run, seen):
    """Records the conditional half's mean at the hook, then adds to one channel at time steps from..to."""
    current = {}

    def before(module, arguments, keywords):
        current["t"] = float(arguments[1] if len(arguments) > 1 else keywords["timestep"])

    def after(module, arguments, output):
        sample = output[0]
        seen[current["t"]] = sample[1].mean(dim=(1, 2)).clone()
        if run["from"] <= current["t"] <= run["to"]:
            sample = sample.clone()
            sample[:, run["channel"]] += run["add"]
        return (sample,)

    module = pipeline.unet.get_submodule(run["hook"])
    return [
        pipeline.unet.register_forward_pre_hook(before, with_kwargs=True),
        module.register_forward_hook(after),
    ]


def generate(model, run, picture, tensors, name):
    kind = StableDiffusionImg2ImgPipeline if "strength" in run else StableDiffusionPipeline
    pipeline = kind.from_pretrained(model, torch_dtype=torch.float32, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    scheduler, extra = SAMPLERS[run["sampler"]]
    pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config, **extra)
    if not hasattr(pipeline.text_encoder, "text_model"):
        # transformers 5 has no such layer any more, but diffusers' clip_skip asks for it.
        object.__setattr__(pipeline.text_encoder, "text_model", pipeline.text_encoder)
    seen = {}
    handles = steer(pipeline, run, seen) if "hook" in run else []
    start = {"image": picture, "strength": run["strength"]} if "strength" in run else {
        "width": run.get("width"), "height": run.get("height")}
    latent = pipeline(
        PROMPT, negative_prompt=run.get("negative"), num_inference_steps=run["steps"],
        guidance_scale=run["guidance"], clip_skip=run.get("clip_skip"), output_type="latent",
        generator=torch.Generator("cpu").manual_seed(run["seed"]), **start).images
    for handle in handles:
        handle.remove()
    if seen:
        tensors[f"{name}/timesteps"] = torch.tensor(list(seen))
        tensors[f"{name}/means"] = torch.stack(list(seen.values()))
    tensors[name] = latent.clone()
    return pipeline


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="diffusers folder")
    parser.add_argument("--output", required=True, type=Path, help="folder to write to")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    tensors, picture = {}, None
    for name, run in RUNS.items():
        pipeline = generate(options.model, run, picture, tensors, name)
        if picture is None:
            scale = pipeline.vae.config.scaling_factor
            decoded = pipeline.vae.decode(tensors[name] / scale).sample
            tensors["decoded"] = decoded
            pixels = ((decoded[0] / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)
            picture = Image.fromarray(pixels.numpy())
            tensors["picture"] = pixels.contiguous()
        print(name, tuple(tensors[name].shape), float(tensors[name].std()))
    options.output.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in tensors.items()}, options.output / "generation.safetensors")
    with open(options.output / "generation.json", "w") as file:
        json.dump({"prompt": PROMPT, "runs": RUNS}, file, indent=1)


if __name__ == "__main__":
    main()
