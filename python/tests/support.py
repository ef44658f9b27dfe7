"""What several tests use: the repository's recorded values, and its small U-Nets with synthetic weights as
folders."""

import importlib
import importlib.util
import json
import os
import unittest
from pathlib import Path

import numpy as np

from lvo import tensorfile

os.environ.setdefault("TQDM_DISABLE", "1")
REPOSITORY = Path(__file__).resolve().parents[2]
LAYER = "up_blocks.2.attentions.1"


def fixture(module, name):
    """A recorded file of the Swift tests: tensors by name, or the value of a JSON file."""
    path = REPOSITORY / "Tests" / f"{module}Tests" / "Fixtures" / name
    return json.loads(path.read_text()) if path.suffix == ".json" else tensorfile.read(path)


def relative_error(found, expected):
    """‖found − expected‖ / ‖expected‖."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def needs(*modules):
    """Skips a test, naming the module that is missing."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    return unittest.skipIf(missing, f"{', '.join(missing)}: not installed")


def imported(test, name):
    """A module; skips `test` if it, or what it imports, is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as problem:
        test.skipTest(f"{name}: {problem}")


def unet_folder(path, config, salt=""):
    """Writes a model folder of a U-Net alone, its weights synthetic
    (Sources/Checkpoints/SyntheticWeights.swift)."""
    (path / "unet").mkdir(parents=True)
    (path / "scheduler").mkdir()
    (path / "unet/config.json").write_text(json.dumps({"_class_name": "UNet2DConditionModel", **config}))
    (path / "scheduler/scheduler_config.json").write_text(
        json.dumps(
            {
                "_class_name": "PNDMScheduler",
                "beta_start": 0.00085,
                "beta_end": 0.012,
                "beta_schedule": "scaled_linear",
                "num_train_timesteps": 1000,
                "skip_prk_steps": True,
                "set_alpha_to_one": False,
                "steps_offset": 1,
            }
        )
    )
    (path / "model_index.json").write_text(
        json.dumps(
            {
                "_class_name": "StableDiffusionPipeline",
                "scheduler": ["diffusers", "PNDMScheduler"],
                "unet": ["diffusers", "UNet2DConditionModel"],
            }
        )
    )
    weights = {name: synthetic(name, shape, salt) for name, shape in unet_shapes(config).items()}
    tensorfile.write(path / "unet/diffusion_pytorch_model.safetensors", weights)
    return path


def synthetic(name, shape, salt):
    """A tensor whose elements are hashes of its name and their index."""
    state = 0xCBF29CE484222325
    for byte in (salt + name).encode():
        state = (state ^ byte) * 0x100000001B3 % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(state) + np.arange(1, np.prod(shape) + 1, dtype=np.uint64) * np.uint64(
            0x9E3779B97F4A7C15
        )
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    unit = (2 * ((z >> np.uint64(40)).astype(np.float64) * 2.0**-24) - 1) * np.sqrt(3.0)
    if len(shape) >= 2:
        values = unit / np.sqrt(np.prod(shape[1:]))
    else:
        values = 1 + 0.1 * unit if name.endswith(".weight") else 0.05 * unit
    return values.astype(np.float32).reshape(shape)


def _layer(name, *shape, bias=True):
    return {f"{name}.weight": shape, **({f"{name}.bias": shape[:1]} if bias else {})}


def _resnet(name, a, b, time):
    shapes = {
        **_layer(f"{name}.norm1", a),
        **_layer(f"{name}.conv1", b, a, 3, 3),
        **_layer(f"{name}.norm2", b),
    }
    shapes.update({**_layer(f"{name}.time_emb_proj", b, time), **_layer(f"{name}.conv2", b, b, 3, 3)})
    return {**shapes, **(_layer(f"{name}.conv_shortcut", b, a, 1, 1) if a != b else {})}


def _transformer(name, c, context):
    block = f"{name}.transformer_blocks.0"
    shapes = {
        **_layer(f"{name}.norm", c),
        **_layer(f"{name}.proj_in", c, c, 1, 1),
        **_layer(f"{name}.proj_out", c, c, 1, 1),
    }
    for number in (1, 2, 3):
        shapes.update(_layer(f"{block}.norm{number}", c))
    for attention, width in ((f"{block}.attn1", c), (f"{block}.attn2", context)):
        for part, rows in (("to_q", c), ("to_k", width), ("to_v", width)):
            shapes.update(_layer(f"{attention}.{part}", c, rows, bias=False))
        shapes.update(_layer(f"{attention}.to_out.0", c, c))
    return {**shapes, **_layer(f"{block}.ff.net.0.proj", 8 * c, c), **_layer(f"{block}.ff.net.2", c, 4 * c)}


def unet_shapes(config):
    """Name → shape of every tensor of a U-Net."""
    widths, count = config["block_out_channels"], config["layers_per_block"]
    time, context = 4 * widths[0], config["cross_attention_dim"]
    shapes = {**_layer("conv_in", widths[0], 4, 3, 3), **_layer("time_embedding.linear_1", time, widths[0])}
    shapes.update(_layer("time_embedding.linear_2", time, time))

    def stage(name, kind, inputs, width):
        for number, entering in enumerate(inputs):
            shapes.update(_resnet(f"{name}.resnets.{number}", entering, width, time))
            if kind.startswith("CrossAttn"):
                shapes.update(_transformer(f"{name}.attentions.{number}", width, context))

    for i, kind in enumerate(config["down_block_types"]):
        stage(f"down_blocks.{i}", kind, [widths[max(i - 1, 0)]] + [widths[i]] * (count - 1), widths[i])
        if i + 1 < len(widths):
            shapes.update(_layer(f"down_blocks.{i}.downsamplers.0.conv", widths[i], widths[i], 3, 3))
    shapes.update(_transformer("mid_block.attentions.0", widths[-1], context))
    for number in (0, 1):
        shapes.update(_resnet(f"mid_block.resnets.{number}", widths[-1], widths[-1], time))
    before = widths[-1]
    for i, kind in enumerate(config["up_block_types"]):
        width, skip = widths[-1 - i], widths[max(-2 - i, -len(widths))]
        stage(f"up_blocks.{i}", kind, [before + width] + [2 * width] * (count - 1) + [width + skip], width)
        if i + 1 < len(widths):
            shapes.update(_layer(f"up_blocks.{i}.upsamplers.0.conv", width, width, 3, 3))
        before = width
    return {**shapes, **_layer("conv_norm_out", widths[0]), **_layer("conv_out", 4, widths[0], 3, 3)}
