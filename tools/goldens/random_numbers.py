"""Numbers of PyTorch's CPU generator: single draws of many lengths, and three draws in sequence."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from shared import MODELS

TARGET = MODELS
TOLERANCE = 0.0
SEEDS = (0, 1024, 1111, 4359, 1099511627779)
COUNTS = (1, 7, 15, 16, 17, 31, 40, 1024)
SEQUENCE = {"seq_a": [1, 4, 16, 16], "seq_b": [5], "seq_c": [20]}


def make(folder: Path):
    tensors = {}
    for seed in SEEDS:
        def generator():
            return torch.Generator().manual_seed(seed)
        tensors[f"rand/{seed}/33"] = torch.rand(33, generator=generator())
        for count in COUNTS:
            tensors[f"randn/{seed}/{count}"] = torch.randn(count, generator=generator())
        one = generator()
        for name, shape in SEQUENCE.items():
            tensors[f"randn/{seed}/{name}"] = torch.randn(shape, generator=one)
    save_file(tensors, folder / "torch_rng.safetensors")
