"""What the judge that comes with the program says of a few pictures, by PyTorch."""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from shared import ROOT

sys.path.insert(0, str(ROOT / "tools" / "lib"))
import judge  # noqa: E402
import judge_pictures  # noqa: E402

TARGET = "Tests/ExperimentsTests/Fixtures"
TOLERANCE = 1e-4


def make(folder: Path):
    rng = np.random.default_rng(7)
    kinds = ("scene", "scene", "texture", "noise")
    images = [np.rint(judge_pictures.picture(kind, rng)[0] * 255) / 127.5 - 1 for kind in kinds]
    pictures = torch.from_numpy(np.stack(images).astype(np.float32))
    network = judge.load(ROOT / "Sources/Experiments/Resources/judge.safetensors")
    logits = network(pictures.permute(0, 3, 1, 2))
    save_file({"pictures": pictures, **{factor: values.contiguous() for factor, values in logits.items()}},
              folder / "judgements.safetensors")
