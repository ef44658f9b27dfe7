"""An untrained autoencoder of width 96 in the layout of the published ones, started as its class starts it."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from shared import write_json

TARGET = "Tests/SparseAutoencodersTests/Fixtures/sae_folder"
TOLERANCE = 1e-7
HOOK = "unet.up_blocks.1.attentions.1"
WIDTH, EXPANSION, K = 96, 4, 8


def make(folder: Path):
    (folder / HOOK).mkdir()
    torch.manual_seed(1)
    encoder = torch.nn.Linear(WIDTH, WIDTH * EXPANSION)
    weight = encoder.weight.detach()
    decoder = weight / (weight.norm(dim=1, keepdim=True) + torch.finfo(torch.float32).eps)
    save_file({
        "encoder.weight": weight.clone(), "encoder.bias": torch.zeros(WIDTH * EXPANSION), "W_dec": decoder,
        "b_dec": torch.zeros(WIDTH)}, folder / HOOK / "sae.safetensors")
    config = {
        "expansion_factor": EXPANSION, "normalize_decoder": True, "num_latents": 0, "k": K, "batch_topk": False,
        "sample_topk": False, "input_unit_norm": False, "multi_topk": False, "d_in": WIDTH}
    write_json(config, folder / HOOK / "cfg.json", indent=None)
