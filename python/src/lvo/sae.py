"""Sparse autoencoders."""

import os
from typing import Any, Dict, Iterable, List, Optional, Tuple, Union

import numpy as np

from . import library
from .arrays import floats
from .errors import InvalidArgument
from .handle import Handle, Result

PathLike = Union[str, "os.PathLike[str]"]
# How the formats are called in Python, and by the library.
FORMATS = {"sparsify": "published", "saelens": "saelens"}


class SAE(Handle):
    """A sparse autoencoder of D channels and L features.

    Rows are positions of a map: `layer.activations(…, tokens=True)` has them as its last axis. All axes
    before the last one are kept: [n, D] or [B, n, D] becomes [n, L] or [B, n, L].
    """

    kind = "sae"

    def __init__(self, pointer: int) -> None:
        super().__init__(pointer)
        self.info: Dict[str, Any] = library.told("sae_describe", pointer)
        self.width: int = self.info["width"]
        self.features: int = self.info["features"]

    @classmethod
    def load(
        cls,
        folder: PathLike = "embedded",
        layer: Optional[str] = None,
        *,
        threads: Optional[int] = None,
        precision: str = "f32",
    ) -> "SAE":
        """Opens a folder of sparsify's (SAeUron's), SAELens' or dictionary_learning's format, or of
        several named by layer; "embedded" is the one that comes with lvo."""
        settings = {
            "path": os.fspath(folder),
            "layer": layer and str(layer),
            "threads": threads,
            "precision": precision,
        }
        return cls(library.made("sae_open", library.settings(settings)))

    @classmethod
    def train(cls, batches: Iterable[Any], **settings: Any) -> "SAE":
        """Trains one on rows that `batches` yields; see `lvo.train`."""
        from .training import train

        return train(batches, **settings)

    def encode(self, x: Any, *, selected: bool = True) -> np.ndarray:
        """Features [..., L] of `x` [..., D]: after selection, or with `selected=False` relu of every
        pre-activation."""
        rows, before = self._rows(x, self.width, "x")
        out = np.empty((len(rows), self.features), np.float32)
        library.call(
            "sae_encode",
            self.pointer,
            rows.ctypes.data,
            library.extents(rows.shape),
            int(selected),
            out.ctypes.data,
            out.size,
        )
        return out.reshape(*before, self.features)

    def encode_top(self, x: Any, k: int) -> Tuple[np.ndarray, np.ndarray]:
        """The k largest features of every row, largest first: indices (int32; −1 where there are fewer)
        and values [..., k]."""
        rows, before = self._rows(x, self.width, "x")
        if k < 1:
            raise InvalidArgument(f"k: {k}, expected at least 1")
        indices, values = np.empty((len(rows), k), np.int32), np.empty((len(rows), k), np.float32)
        library.call(
            "sae_encode_top",
            self.pointer,
            rows.ctypes.data,
            library.extents(rows.shape),
            k,
            indices.ctypes.data,
            values.ctypes.data,
            values.size,
        )
        return indices.reshape(*before, k), values.reshape(*before, k)

    def decode(self, features: Any, x: Any = None) -> np.ndarray:
        """Reconstructions [..., D] of features [..., L]. `x`, what was encoded, is needed with
        `input_unit_norm` alone."""
        rows, before = self._rows(features, self.features, "features")
        return self._decoded("sae_decode", [rows], x).reshape(*before, self.width)

    def decode_top(self, indices: Any, values: Any, x: Any = None) -> np.ndarray:
        """Reconstructions [..., D] of what `encode_top` gives."""
        rows, before = self._rows(values, None, "values")
        chosen = np.ascontiguousarray(np.asarray(indices).reshape(-1, rows.shape[1]), np.int32)
        if chosen.shape != rows.shape:
            raise InvalidArgument(f"indices: shape {list(np.shape(indices))}, expected that of values")
        return self._decoded("sae_decode_top", [chosen, rows], x).reshape(*before, self.width)

    def _decoded(self, call: str, codes: List[np.ndarray], x: Any) -> np.ndarray:
        """The reconstruction of each row of codes."""
        out = np.empty((len(codes[0]), self.width), np.float32)
        like = None if x is None else self._rows(x, self.width, "x")[0]
        library.call(
            call,
            self.pointer,
            *(code.ctypes.data for code in codes),
            library.extents(codes[0].shape),
            _address(like, out.shape),
            out.ctypes.data,
            out.size,
        )
        return out

    @property
    def parameters(self) -> Dict[str, np.ndarray]:
        """`encoder.weight` [L, D], `encoder.bias` [L], `W_dec` [L, D], `b_dec` [D], with JumpReLU
        `threshold` [L]: read-only, not copied. A row of `W_dec` is the direction that a feature stands
        for."""
        result = Result(library.made("sae_parameters", self.pointer))
        return {name: result.array(name) for name in result.names}

    def save(
        self,
        folder: PathLike,
        format: str = "sparsify",
        *,
        dtype: str = "f32",
        layer: Optional[str] = None,
        overwrite: bool = False,
    ) -> None:
        """Writes a folder in the `format` "sparsify" (lvo's own, SAeUron's too), "saelens" or
        "dictionary_learning" (takes torch). dtype: "f32", "f16", "bf16". layer: what SAELens is to call
        it."""
        if format == "dictionary_learning":
            from .interop import save_dictionary_learning

            return save_dictionary_learning(self, folder, overwrite=overwrite)
        if format not in FORMATS:
            raise InvalidArgument(f"format: {format}, expected {', '.join(FORMATS)} or dictionary_learning")
        library.call(
            "sae_save",
            self.pointer,
            os.fspath(folder).encode(),
            FORMATS[format].encode(),
            dtype.encode(),
            str(layer).encode() if layer else None,
            int(overwrite),
        )

    def _rows(self, x: Any, width: Optional[int], name: str) -> Tuple[np.ndarray, Tuple[int, ...]]:
        """`x` as rows, and the axes before its last one."""
        array = np.asarray(x)
        if array.ndim < 1 or (width is not None and array.shape[-1] != width):
            raise InvalidArgument(f"{name}: shape {list(array.shape)}, expected [..., {width}]")
        rows = floats(array.reshape(-1, array.shape[-1]), name, (None, width))
        return rows, array.shape[:-1]

    def __repr__(self) -> str:
        rule = f"{self.info['rule']}, k {self.info['k']}" if self.info["counts_k"] else self.info["rule"]
        return f"<lvo.SAE {self.features} features of {self.width} channels, {rule}>"


def _address(rows: Optional[np.ndarray], shape: Tuple[int, ...]) -> Optional[int]:
    if rows is None:
        return None
    if rows.shape != shape:
        raise InvalidArgument(f"x: {len(rows)} rows, expected {shape[0]}")
    return rows.ctypes.data
