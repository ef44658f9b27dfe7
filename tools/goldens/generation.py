"""Whole generations of the small model inside the program, by tools/make-generation-fixtures."""

import subprocess
import sys
from pathlib import Path

from shared import MODELS, ROOT

TARGET = MODELS
TOLERANCE = 1e-3


def make(folder: Path):
    script = ROOT / "tools/make-generation-fixtures"
    model = ROOT / "Sources/Experiments/Resources/shapes"
    subprocess.run([sys.executable, script, "--model", model, "--output", folder], check=True, stdout=subprocess.DEVNULL)
