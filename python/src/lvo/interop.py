"""Files that other programs read: dictionary_learning's `ae.pt`, activations as .npy and .safetensors.

SAELens' and sparsify's folders are `SAE.save`'s formats, and `SAE.load` reads those of all three.
"""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, Union

import numpy as np

from . import tensorfile
from .errors import CannotWrite, Unsupported

if TYPE_CHECKING:
    from .sae import SAE

PathLike = Union[str, "os.PathLike[str]"]


def save_activations(path: PathLike, activations: Mapping[str, Any], **metadata: Any) -> None:
    """Writes activations by layer, as `Model.activations` gives them, with texts beside (`timestep=301`).

    A name that ends in .npy takes one layer; others become safetensors, tensors named like the layers.
    """
    arrays = {str(name): np.asarray(value) for name, value in activations.items()}
    if os.fspath(path).endswith(".npy"):
        if len(arrays) != 1:
            raise CannotWrite(f"{path}: a .npy file holds one array, found {len(arrays)}")
        np.save(path, next(iter(arrays.values())))
        return
    tensorfile.write(path, arrays, {name: str(value) for name, value in metadata.items()})


def load_activations(path: PathLike) -> Dict[str, np.ndarray]:
    """Reads what `save_activations`, `lvo generate --capture` or `lvo probe` wrote, by name."""
    if os.fspath(path).endswith(".npy"):
        return {Path(path).stem: np.load(path)}
    return tensorfile.read(path)


def save_dictionary_learning(sae: "SAE", folder: PathLike, overwrite: bool = False) -> None:
    """Writes `config.json` and `ae.pt` for dictionary_learning's `load_dictionary`. Takes torch.

    TopK, BatchTopK and SampleTopK become AutoEncoderTopK, which they are at inference; JumpReLU becomes
    JumpReluAutoEncoder. A relu SAE becomes a JumpReluAutoEncoder with thresholds 0, since that library's
    AutoEncoder scales decoder rows to norm 1.
    """
    import torch

    if sae.info["input_unit_norm"]:
        raise Unsupported("input_unit_norm: dictionary_learning has no such normalisation")
    path = Path(folder)
    if (path / "ae.pt").exists() and not overwrite:
        raise CannotWrite(f"{path / 'ae.pt'}: exists; say overwrite=True to replace it")
    name, state = _state(sae)
    trainer = {"dict_class": name, "activation_dim": sae.width, "dict_size": sae.features}
    if sae.info["counts_k"]:
        trainer["k"] = sae.info["k"]
    path.mkdir(parents=True, exist_ok=True)
    torch.save(
        {key: torch.tensor(np.array(value, order="C")) for key, value in state.items()}, path / "ae.pt"
    )
    (path / "config.json").write_text(json.dumps({"trainer": trainer}, indent=2) + "\n")


def _state(sae: "SAE") -> Any:
    """The class's name and its state dictionary."""
    p = sae.parameters
    if sae.info["counts_k"]:
        return "AutoEncoderTopK", {
            "encoder.weight": p["encoder.weight"],
            "encoder.bias": p["encoder.bias"],
            "decoder.weight": p["W_dec"].T,
            "b_dec": p["b_dec"],
            "k": np.int32(sae.info["k"]),
            "threshold": np.float32(-1),
        }
    # That class does not subtract b_dec before it encodes, so its bias does.
    bias = p["encoder.bias"] - (p["encoder.weight"].astype(np.float64) @ p["b_dec"]).astype(np.float32)
    return "JumpReluAutoEncoder", {
        "W_enc": p["encoder.weight"].T,
        "b_enc": bias,
        "W_dec": p["W_dec"],
        "b_dec": p["b_dec"],
        "threshold": p.get("threshold", np.zeros(sae.features, np.float32)),
    }
