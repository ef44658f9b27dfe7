"""One small model in every container, LoRA files, and what must be refused, by tools/make-containers."""

import subprocess
import sys
from pathlib import Path

from shared import ROOT

TARGET = "Tests/CheckpointsTests/Fixtures/containers"
# Zip archives hold times and old pickles hold addresses; their tensors are compared.
TOLERANCE = 0.0


def make(folder: Path):
    subprocess.run([sys.executable, ROOT / "tools/make-containers", "--tiny", folder], check=True)
