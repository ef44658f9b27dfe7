"""The time-step analysis: how often and how strongly channels are active at each step, peaks by scipy's rule with its
ties settled (equal heights: the later step first)."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from scipy.signal import find_peaks

import numpy as np
from shared import committed, committed_json, write_json

TARGET = "Tests/StudiesTests/Fixtures"
TOLERANCE = 0.0


def active(timesteps, counts, total):
    """First, last and number of the whole time steps at which the interpolated frequency is above 0."""
    frequency = np.interp(np.arange(total + 1), timesteps, counts, left=0, right=0)
    steps = np.flatnonzero(frequency > 0)
    return [int(steps[0]), int(steps[-1]), len(steps)] if len(steps) else []


def peaks(timesteps, counts, separation, most):
    """Runs of equal counts above both neighbours, thinned from the highest down."""
    found, i = [], 0
    while i < len(counts):
        j = i
        while j + 1 < len(counts) and counts[j + 1] == counts[i]:
            j += 1
        before = counts[i - 1] if i > 0 else 0
        after = counts[j + 1] if j + 1 < len(counts) else 0
        if counts[i] > 0 and before < counts[i] > after:
            found.append(((timesteps[i] + timesteps[j]) // 2, counts[i]))
        i = j + 1
    kept = []
    for step, height in sorted(found, key=lambda p: (-p[1], -p[0])):
        if all(abs(step - other) >= separation for other, _ in kept):
            kept.append((step, height))
    return [step for step, _ in sorted(kept, key=lambda p: (-p[1], p[0]))[:most]]


def scipy_peaks(timesteps, counts, samples, separation, most, total):
    """As the research code has them: find_peaks of the interpolated frequency (counts over `samples`, float32)."""
    frequency = torch.tensor(counts, dtype=torch.float32) / samples
    profile = np.interp(np.arange(total + 1), timesteps, frequency.numpy(), left=0, right=0)
    found, about = find_peaks(profile, height=0, distance=separation, plateau_size=1)
    return found[np.argsort(-about["peak_heights"], kind="stable")[:most]].tolist()


def make(folder: Path):
    activations = committed(f"{TARGET}/timesteps.safetensors")["activations"]
    about = committed_json(f"{TARGET}/timesteps.json")
    timesteps, separation = about["timesteps"], about["peak_separation"]
    samples, _, width = activations.shape
    top = activations.topk(about["top_k"], dim=-1).indices
    count = torch.zeros(activations.shape, dtype=torch.int32).scatter_(2, top, 1).sum(0).T.int()
    rows = count.tolist()
    total = about["total_timesteps"]
    about["active_timesteps_first_last_count"] = [active(timesteps, row, total) for row in rows]
    about["activity_peaks"] = [peaks(timesteps, row, separation, about["top_peak_count"]) for row in rows]
    about["channels_where_scipy_breaks_ties_otherwise"] = [
        channel for channel, found in enumerate(about["activity_peaks"])
        if found != scipy_peaks(timesteps, rows[channel], samples, separation, about["top_peak_count"], total)]
    save_file({
        "activations": activations, "count": count.contiguous(), "frequency": (count / samples).float().contiguous(),
        "max_activation": activations.amax(0).clamp(min=0).T.contiguous()}, folder / "timesteps.safetensors")
    write_json(about, folder / "timesteps.json")
