"""The pieces of a dream's step: spectral filter, smoothing, penalties with gradients, affine warps, a roll."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torchvision.transforms.functional import InterpolationMode, affine

from shared import committed, committed_json, write_json

TARGET = "Tests/VisualizationTests/Fixtures"
TOLERANCE = 1e-5


def spectral(gradient):
    """Each frequency divided by 1 + its distance from zero, the spread restored."""
    height, width = gradient.shape[-2:]
    y = torch.arange(height) - height // 2
    x = torch.arange(width) - width // 2
    radius = torch.fft.ifftshift((y[:, None] ** 2 + x[None] ** 2).float().sqrt())
    filtered = torch.fft.ifft2(torch.fft.fft2(gradient) / (1 + radius)).real
    return filtered * (gradient.std() / (filtered.std() + 1e-8))


def smooth(gradient, sigma, size=9):
    if sigma <= 0:
        return gradient.clone()
    offsets = torch.arange(size) - size // 2
    kernel = torch.exp(-offsets.float() ** 2 / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    channels, pad = gradient.shape[1], size // 2
    padded = torch.nn.functional.pad(gradient, [pad] * 4, mode="reflect")
    rows = torch.nn.functional.conv2d(padded, kernel.view(1, 1, -1, 1).expand(channels, -1, -1, -1), groups=channels)
    return torch.nn.functional.conv2d(rows, kernel.view(1, 1, 1, -1).expand(channels, -1, -1, -1), groups=channels)


def sigma(step, steps, start, end):
    return start + step / max(steps - 1, 1) * (end - start)


def total_variation(z):
    return (z[..., 1:, :] - z[..., :-1, :]).abs().mean() + (z[..., 1:] - z[..., :-1]).abs().mean()


def range_penalty(z, threshold):
    return torch.relu(z.abs() - threshold).square().mean()


def moment(z):
    return z.mean().abs() + (z.std() - 1).abs()


def warp(z, angle, scale):
    return affine(z, angle, [0, 0], scale, [0.0, 0.0], interpolation=InterpolationMode.BILINEAR)


def roll(z, shifts):
    return torch.roll(z, tuple(shifts), dims=(-2, -1))


def make(folder: Path):
    torch.set_num_threads(1)
    recorded = committed(f"{TARGET}/regularizers.safetensors")
    description = committed_json(f"{TARGET}/regularizers.json")
    tensors = {}
    for index in ("0", "1", "2"):
        z, gradient = recorded[f"{index}/latent"], recorded[f"{index}/grad"]
        tensors |= {f"{index}/latent": z, f"{index}/grad": gradient, f"{index}/precondition": spectral(gradient)}
        for step in (0, 10, 49, 99):
            tensors[f"{index}/smooth/{step}"] = smooth(gradient, sigma(step, 100, 0.5, 0))
        penalties = {
            "tv": total_variation, "range": lambda z: range_penalty(z, 3), "range1": lambda z: range_penalty(z, 1),
            "moment": moment}
        for name, penalty in penalties.items():
            leaf = z.clone().requires_grad_()
            value = 0.5 * penalty(leaf)
            (slope,) = torch.autograd.grad(value, leaf)
            tensors |= {f"{index}/{name}/value": value.detach().reshape(1), f"{index}/{name}/grad": slope}
        tensors[f"{index}/roll/1/-2"] = roll(z, (1, -2))
        for key in (key for key in description["affine"] if key.startswith(index + "/")):
            angle, scale = map(float, key.split("/")[2:])
            cotangent = recorded[f"{key}/cotangent"]
            leaf = z.clone().requires_grad_()
            warped = warp(leaf, angle, scale)
            (pulled,) = torch.autograd.grad(warped, leaf, cotangent)
            tensors |= {key: warped.detach(), f"{key}/cotangent": cotangent, f"{key}/vjp": pulled}
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "regularizers.safetensors")
    write_json(description, folder / "regularizers.json")
