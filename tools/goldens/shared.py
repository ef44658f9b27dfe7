"""What the golden scripts share: synthetic weights, recorded inputs, comparison."""

import json
import math
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[2]
MODELS = "Tests/StableDiffusionTests/Fixtures"


def committed(path):
    """Tensors of a committed fixture: inputs whose recipe was random and is recorded there alone."""
    return load_file(ROOT / path)


def committed_json(path):
    with open(ROOT / path) as file:
        return json.load(file)


def write_json(value, path, indent=1):
    with open(path, "w") as file:
        json.dump(value, file, indent=indent)


def synthetic(name, shape, salt=""):
    """A weight made of its name alone (`SyntheticWeights` in Sources/Checkpoints)."""
    hashed = 0xCBF29CE484222325
    for byte in (salt + name).encode():
        hashed = (hashed ^ byte) * 0x100000001B3 % 2**64
    count = math.prod(shape)
    z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(hashed)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    value = (2 * ((z >> np.uint64(40)).astype(np.float64) / 2**24) - 1) * math.sqrt(3)
    if "embedding.weight" in name and "time_embedding" not in name:
        value *= 0.02
    elif len(shape) >= 2:
        value *= 1 / math.sqrt(math.prod(shape[1:]))
    elif name.endswith(".weight"):
        value = 1 + 0.1 * value
    else:
        value *= 0.05
    return torch.from_numpy(value.astype(np.float32)).reshape(shape)


def fill(module, salt="", prefix=""):
    """Synthetic weights for every parameter."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(synthetic(prefix + name, list(parameter.shape), salt))
    return module.eval().requires_grad_(False)


def positions(output):
    """What a hook sees, as [batch, positions, channels]."""
    sample = output[0] if isinstance(output, tuple) else getattr(output, "sample", output)
    return sample.flatten(2).transpose(1, 2) if sample.dim() == 4 else sample


def hooked(unet, hooks, latent, timestep, context):
    """The activations at `hooks` in one pass, and the prediction; gradients reach the latent."""
    seen, handles = {}, []
    for name in hooks:
        def keep(_, __, output, name=name):
            seen[name] = positions(output)
        handles.append(unet.get_submodule(name).register_forward_hook(keep))
    prediction = unet(latent, timestep, encoder_hidden_states=context).sample
    for handle in handles:
        handle.remove()
    return seen, prediction


def tensors_of(path):
    """Tensors of a safetensors or torch file by name, else None."""
    if path.suffix == ".safetensors":
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}
    if path.suffix in (".ckpt", ".bin", ".pt"):
        loaded = torch.load(path, weights_only=False)
        loaded = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else loaded
        return {k: v for k, v in loaded.items() if isinstance(v, torch.Tensor) and v.layout is torch.strided}
    return None


def relative_error(new, old):
    """‖new − old‖ / ‖old‖; equal NaNs count as equal."""
    if new.shape != old.shape or new.dtype != old.dtype:
        return math.inf
    if new.is_quantized:
        new, old = new.dequantize(), old.dequantize()
    if new.is_complex():
        new, old = torch.view_as_real(new), torch.view_as_real(old)
    new, old = new.detach().double().nan_to_num(), old.detach().double().nan_to_num()
    difference = float((new - old).norm())
    return difference if difference == 0 else difference / max(float(old.norm()), 1e-30)


def json_error(new, old):
    """The largest relative difference of numbers; infinite where structure or text differ."""
    if isinstance(new, bool) or isinstance(old, bool):
        return 0.0 if new is old else math.inf
    if isinstance(new, (int, float)) and isinstance(old, (int, float)):
        return 0.0 if new == old else abs(new - old) / max(abs(old), 1e-3)
    if isinstance(new, dict) and isinstance(old, dict) and new.keys() == old.keys():
        return max((json_error(new[key], old[key]) for key in new), default=0.0)
    if isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        return max((json_error(a, b) for a, b in zip(new, old)), default=0.0)
    return 0.0 if new == old else math.inf


def file_error(new, old):
    """How far two files of one kind are from each other: 0 for equal bytes."""
    if new.read_bytes() == old.read_bytes():
        return 0.0
    if new.suffix == ".json":
        return json_error(json.loads(new.read_text()), json.loads(old.read_text()))
    try:
        ours, theirs = tensors_of(new), tensors_of(old)
    except Exception:
        return math.inf
    if ours is None or ours.keys() != theirs.keys():
        return math.inf
    return max((relative_error(ours[name], theirs[name]) for name in ours), default=math.inf)
