"""Pictures that the embedded model draws from captions, for the judge: latents and what their captions say."""
import os

import numpy as np
import shapes
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel, CLIPTokenizer

STEPS = 20
GUIDANCE = (4.0, 7.5)
BATCH = 48


def factors(count, seed):
    """Of `count` captions; the same for the same seed."""
    rng = np.random.default_rng(seed)
    return [shapes.sample(rng)[0] for _ in range(count)]


class Drawing:
    """The embedded model with its text, drawn by DDIM."""

    def __init__(self, model):
        def part(kind, name):
            loaded = kind.from_pretrained(model, subfolder=name, torch_dtype=torch.float32)
            return loaded.eval().requires_grad_(False)
        self.unet, self.text = part(UNet2DConditionModel, "unet"), part(CLIPTextModel, "text_encoder")
        self.tokenizer = CLIPTokenizer.from_pretrained(model, subfolder="tokenizer")
        self.alphas = DDIMScheduler.from_pretrained(model, subfolder="scheduler").alphas_cumprod

    def context(self, captions):
        ids = self.tokenizer(captions, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids
        return self.text(ids).last_hidden_state

    def latents(self, captions, guidance, generator):
        count = len(captions)
        context = torch.cat([self.context([""]).expand(count, -1, -1), self.context(captions)])
        x = torch.randn([count, 4, 16, 16], generator=generator)
        for step in range(STEPS):
            timestep = 951 - 50 * step
            plain, guided = self.unet(torch.cat([x, x]), timestep, context).sample.chunk(2)
            epsilon = plain + guidance * (guided - plain)
            alpha = self.alphas[timestep]
            before = self.alphas[timestep - 50] if step + 1 < STEPS else torch.tensor(1.0)
            x = before**0.5 * (x - (1 - alpha)**0.5 * epsilon) / alpha**0.5 + (1 - before)**0.5 * epsilon
        return x


def latents(model, count, seed, file=None):
    """`[count, 4, 16, 16]`, kept in `file` if one is named."""
    if file and os.path.exists(file):
        return load_file(file)["latent"][:count]
    drawing, generator, parts = Drawing(model), torch.Generator().manual_seed(seed), []
    captions = [shapes.caption(own) for own in factors(count, seed)]
    for first in range(0, count, BATCH):
        guidance = GUIDANCE[first // BATCH % len(GUIDANCE)]
        parts.append(drawing.latents(captions[first:first + BATCH], guidance, generator))
    result = torch.cat(parts)
    if file:
        save_file({"latent": result}, file)
    return result
