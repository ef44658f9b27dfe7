"""The judge: a small network that names pattern and colour of the ground in a decoded picture of the embedded model
(Sources/Experiments/Recognition/Judge.swift runs it)."""

import json

import shapes
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

NONE = "none"
CLASSES = {
    "ground": [*shapes.COLOR_NAMES, NONE],
    "pattern": [*shapes.PATTERNS, NONE],
}
WIDTHS = (24, 48, 72, 96, 96)
STRIDES = (2, 2, 2, 1, 1)


class Judge(nn.Module):
    """Pictures [B, 3, 64, 64] in -1…1 → per factor [B, classes] logits."""

    def __init__(self, classes=CLASSES, widths=WIDTHS, strides=STRIDES):
        super().__init__()
        self.classes, self.strides = classes, strides
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride, padding=1) for a, b, stride in zip((3, *widths), widths, strides)
        )
        self.heads = nn.ModuleDict({name: nn.Linear(2 * widths[-1], len(values)) for name, values in classes.items()})

    def forward(self, x):
        for convolution in self.convolutions:
            x = torch.relu(convolution(x))
        x = torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)
        return {name: head(x) for name, head in self.heads.items()}


def save(network, path):
    """Half-precision weights, and in the metadata what else the network is."""
    tensors = {name: tensor.half().contiguous() for name, tensor in network.state_dict().items()}
    described = {"classes": network.classes, "side": shapes.SIDE, "strides": network.strides}
    save_file(tensors, path, metadata={name: json.dumps(value) for name, value in described.items()})


def load(path):
    with safe_open(path, "pt") as file:
        described = {name: json.loads(file.metadata()[name]) for name in ("classes", "strides")}
        tensors = {name: file.get_tensor(name).float() for name in file.keys()}
    widths = [len(tensors[f"convolutions.{i}.bias"]) for i in range(len(described["strides"]))]
    network = Judge(widths=widths, **described)
    network.load_state_dict(tensors)
    return network.eval().requires_grad_(False)
