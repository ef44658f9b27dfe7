"""NumPy arrays on their way into the library: float32, contiguous, of a known shape."""

from typing import Any, Optional, Sequence, Tuple

import numpy as np

from .errors import InvalidArgument

Shape = Tuple[Optional[int], ...]


def floats(value: Any, name: str, shape: Sequence[Optional[int]], *, batch: bool = False) -> np.ndarray:
    """`value` as a contiguous float32 array: itself, if it is one, else a converted copy.

    `shape` has None where any extent will do. With `batch` a first axis of extent 1 is added if that alone
    is missing. Raises InvalidArgument, naming `name`, for other shapes and kinds of numbers; NaN is the
    library's to find.
    """
    try:
        array = np.asarray(value)
    except Exception as problem:
        raise InvalidArgument(f"{name}: not an array of numbers ({problem})") from None
    if array.dtype.kind not in "fiu":
        raise InvalidArgument(
            f"{name}: numbers of type {array.dtype}, expected float32 (or what converts to it)"
        )
    if batch and array.ndim == len(shape) - 1:
        array = array[None]
    if not _fits(array.shape, shape):
        raise InvalidArgument(f"{name}: shape {_text(array.shape)}, expected {_text(shape)}")
    return np.ascontiguousarray(array, dtype=np.float32)


def timesteps(value: Any) -> np.ndarray:
    """Time steps as float32 [1] or [B]; the library knows which ones there are."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiu" or array.ndim > 1:
        raise InvalidArgument(f"timestep: {value!r}, expected a number, or one for each sample")
    return np.ascontiguousarray(array.reshape(-1), dtype=np.float32)


def _fits(found: Tuple[int, ...], wanted: Sequence[Optional[int]]) -> bool:
    if len(found) != len(wanted) or 0 in found:
        return False
    return all(w is None or f == w for f, w in zip(found, wanted))


def _text(shape: Sequence[Optional[int]]) -> str:
    return "[" + ", ".join("any" if extent is None else str(extent) for extent in shape) + "]"
