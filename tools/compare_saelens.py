#!/usr/bin/env python3
"""Checks `lvo sae convert` against the SAELens library (pip install sae-lens), both ways: autoencoders that SAELens saved and
lvo imports give the same activations and reconstructions, and so do lvo's exports when SAELens loads them.

  tools/compare_saelens.py --lvo .build/release/lvo

Importing writes the published format, whose function is computed here in a few lines (docs/saes.md).
"""
import argparse, json, os, subprocess, tempfile

import torch
from sae_lens import SAE, JumpReLUSAE, JumpReLUSAEConfig, StandardSAE, StandardSAEConfig, TopKSAE, TopKSAEConfig
from safetensors.torch import load_file

WIDTH, LATENTS, K = 16, 48, 5
CASES = {
    "standard": (StandardSAE, StandardSAEConfig, {}),
    "standard, input bias off": (StandardSAE, StandardSAEConfig, {"apply_b_dec_to_input": False}),
    "topk": (TopKSAE, TopKSAEConfig, {"k": K}),
    "topk, rescaled by norms": (TopKSAE, TopKSAEConfig, {"k": K, "rescale_acts_by_decoder_norm": True}),
    "topk, float16": (TopKSAE, TopKSAEConfig, {"k": K, "dtype": "float16"}),
    "jumprelu": (JumpReLUSAE, JumpReLUSAEConfig, {}),
    "jumprelu, bfloat16": (JumpReLUSAE, JumpReLUSAEConfig, {"dtype": "bfloat16"}),
}


def reconstruct(folder, x):
    """The published format's function, at inference."""
    config = json.load(open(f"{folder}/cfg.json"))
    w = {name: tensor.float() for name, tensor in load_file(f"{folder}/sae.safetensors").items()}
    pre = torch.relu((x - w["b_dec"]) @ w["encoder.weight"].T + w["encoder.bias"])
    if config.get("activation") == "jumprelu":
        pre = torch.where(pre > w["threshold"], pre, 0)
    elif config.get("activation") != "relu":
        values, places = pre.topk(config["k"], dim=-1)
        pre = torch.zeros_like(pre).scatter(-1, places, values)
    return pre @ w["W_dec"] + w["b_dec"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lvo", default=".build/release/lvo")
    options = parser.parse_args()
    torch.manual_seed(0)
    x = torch.randn(200, WIDTH)
    worst = 0.0
    for name, (kind, config, extra) in CASES.items():
        settings = {"dtype": "float32", **extra}
        sae = kind(config(d_in=WIDTH, d_sae=LATENTS, device="cpu", **settings))
        with torch.no_grad():
            for parameter, tensor in sae.named_parameters():
                tensor.copy_(torch.rand_like(tensor) * 0.3 if parameter == "threshold" else torch.randn_like(tensor) * 0.4)
        with tempfile.TemporaryDirectory() as folder:
            convert = lambda source, target, to: subprocess.run(
                [options.lvo, "sae", "convert", "--input", f"{folder}/{source}", "--output", f"{folder}/{target}", "--to", to],
                check=True, stdout=subprocess.DEVNULL)
            sae.save_model(f"{folder}/saved")
            convert("saved", "imported", "published")
            convert("imported", "exported", "saelens")
            # In float32, with the weights as they were stored: half-precision arithmetic is SAELens' own affair.
            reference = SAE.load_from_disk(f"{folder}/saved", dtype="float32")(x)
            again = SAE.load_from_disk(f"{folder}/exported")(x)
            errors = [(y - reference).norm().item() / reference.norm().item()
                      for y in (reconstruct(f"{folder}/imported", x), again)]
        print(f"{name:28} imported {errors[0]:.1e}  exported again {errors[1]:.1e}")
        worst = max([worst] + errors)
    if not worst < 1e-5:
        raise SystemExit("they do not agree")


main()
