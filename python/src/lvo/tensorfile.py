"""Safetensors files with NumPy alone."""

import json
import os
import struct
from typing import Any, Dict, Mapping, Optional, Tuple, Union

import numpy as np

from .errors import BadFile

Path = Union[str, "os.PathLike[str]"]

_KINDS: Dict[str, Any] = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U64": np.uint64,
    "U32": np.uint32,
    "U16": np.uint16,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
_NAMES = {np.dtype(kind): name for name, kind in _KINDS.items()}


def write(
    path: Path, tensors: Mapping[str, np.ndarray], metadata: Optional[Mapping[str, str]] = None
) -> None:
    """Writes `tensors` by name; `metadata` are texts by name."""
    header: Dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    arrays, offset = [], 0
    for name, tensor in tensors.items():
        array = np.asarray(tensor)
        array = np.ascontiguousarray(array).reshape(array.shape)
        kind = _NAMES.get(array.dtype)
        if kind is None:
            raise BadFile(f"{name}: numbers of type {array.dtype} have no place in a safetensors file")
        header[name] = {
            "dtype": kind,
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
        arrays.append(array)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays:
            file.write(array.tobytes())


def read(path: Path) -> Dict[str, np.ndarray]:
    """All tensors of a file by name; bfloat16 becomes float32."""
    return read_with_metadata(path)[0]


def read_with_metadata(path: Path) -> Tuple[Dict[str, np.ndarray], Dict[str, str]]:
    """All tensors of a file by name, and the texts that it carries."""
    with open(path, "rb") as file:
        data = file.read()
    try:
        (length,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8 : 8 + length])
        metadata = header.pop("__metadata__", {})
        body = memoryview(data)[8 + length :]
        return {name: _tensor(entry, body) for name, entry in header.items()}, metadata
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise BadFile(f"{path}: not a sound safetensors file ({problem})") from None


def _tensor(entry: Mapping[str, Any], body: memoryview) -> np.ndarray:
    begin, end = entry["data_offsets"]
    kind, part = entry["dtype"], body[begin:end]
    if kind == "BF16":
        wide = np.frombuffer(part, dtype="<u2").astype(np.uint32) << 16
        return wide.view(np.float32).reshape(entry["shape"])
    return np.frombuffer(part, dtype=_KINDS[kind]).reshape(entry["shape"]).copy()
